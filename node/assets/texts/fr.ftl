# Vouvoiement. Termes : paper = document, record = dossier, desk = guichet.

## Lists and names
list-between = { ", " }
list-last = { " et " }
grantee-person = Le soignant au numéro de registre { $number } ({ $organization })
grantee-unknown = Un soignant inconnu
grantee-role = { $role } ({ $organization })
grantee-code = La première personne qui montre votre code
grantee-proxy = Votre mandataire
paper-elsewhere = un document qui n’est pas ici
no-end = (sans fin)
category = { $category ->
    [history-and-physical] examens
    [laboratory] résultats de laboratoire
    [radiation-dose] doses de rayons
    [imaging] images
    [medication] médicaments
    [letters] lettres
    [emergency-summary] résumé d’urgence
   *[private-notes] notes privées
}
purpose = { $purpose ->
    [treatment] soins
    [emergency-treatment] soins d’urgence
    [research] recherche
    [operations] gestion de l’hôpital
   *[patient-request] votre propre demande
}
record-named = { $title } ({ $category })

## Consent
what-categories = dans votre dossier : { $list }
what-papers = ces documents : { $list }
what-everything = vos documents de toutes sortes
consent-may = { $rights ->
    [read] { $grantee } peut lire { $what }.
    [write] { $grantee } peut compléter { $what }.
    [read-write] { $grantee } peut lire et compléter { $what }.
    [share] { $grantee } peut transmettre { $what }.
    [read-share] { $grantee } peut lire et transmettre { $what }.
    [write-share] { $grantee } peut compléter et transmettre { $what }.
   *[read-write-share] { $grantee } peut lire, compléter et transmettre { $what }.
}
consent-why = Pourquoi : { $purpose }.
consent-when = Du { $from } au { $until }.
consent-study = { $anonymity ->
    [as-is] Pour l’étude { $study }, avec votre nom.
    [pseudonymised] Pour l’étude { $study }, sous un code.
   *[anonymised] Pour l’étude { $study }, sans votre nom.
}
consent-label = { $label ->
    [restricted] Des documents sensibles sont compris.
   *[very-restricted] Des documents très sensibles sont compris.
}
consent-once = Cela ne sert qu’une fois.
consent-two-signatures = Un changement demande deux signatures : la vôtre et la leur.
consent-stop = Vous pouvez arrêter cela chaque jour, à chaque guichet. Si vous dites non, vos soins continuent.
revoke = Vous arrêtez cet accord : { $list }. Il s’arrête tout de suite là où il y a une liaison, et ailleurs dès qu’elle revient. Les nouveaux documents leur restent fermés.
revoke-everyone = toutes les personnes que vous avez autorisées

## Signing in, enrolment, papers
sign-in = Connexion à { $organization }. Vous signez seulement que vous êtes là.
create-patient = { $organization } crée votre dossier de santé et le garde pour vous. Votre carte en est la clé. Conservez bien le code de secours imprimé : il ouvre le dossier si la carte est perdue.
add-records = { $organization } range dans ce dossier : { $list }.
access = Un document est ouvert. Pourquoi : { $purpose }.
amend-what = Ce document est modifié : { $record }.
amend-title = Nouveau titre : { $title }.
amend-category = Nouveau type : { $category }.
amend-label = { $label ->
    [normal] Il n’est plus sensible à partir de maintenant.
    [restricted] Il est sensible à partir de maintenant.
   *[very-restricted] Il est très sensible à partir de maintenant.
}
amend-rest = Cela décide qui peut le lire. Le fichier lui-même reste comme il est.
amend-alone = Vous signez cela sans autre personne.
amend-both = Signent ensemble : la personne à qui est le dossier et { $organization }.

## Erasure
erase-papers = Vous demandez que ces documents soient détruits partout : { $list }. Personne ne peut les faire revenir.
erase-everything = Vous demandez que tout ce qui est gardé sur vous soit détruit partout. Personne ne peut le faire revenir.
erase-until = Vous pouvez annuler cette demande à chaque guichet jusqu’à cette date : { $day }.
erase-agree = Doit donner son accord : { $list }.
erase-stays = La loi veut que cette destruction reste notée. Pendant trois ans, il reste aussi noté qui a lu vos documents, sans leurs noms.
take-back = Vous annulez votre demande : rien de ce qui est à vous n’est détruit.

## A lost card
recovery-notice = Avis de { $list }, après avoir vérifié qui vous êtes : une nouvelle carte doit remplacer la carte perdue.
recovery-wait = L'ancienne carte ou l'établissement qui garde votre dossier peut s'y opposer pendant ce nombre d'heures : { $hours }. Ensuite, des personnes de confiance peuvent rouvrir l'accès, pour cette nouvelle carte seulement. Conservez bien le code de secours imprimé : il ouvre votre dossier si cette carte est perdue aussi.
recovery-contest = Vous vous opposez à ce qu'une autre carte remplace la carte perdue : rien ne lui est ouvert. Allez à l'établissement qui garde le dossier pour régler cela.
recovery-request = { $organization } demande à trois personnes de confiance de rouvrir l'accès d'une carte perdue, pour la nouvelle carte que l'avis désigne. Jusqu'au { $until }. Le patient verra qui a accepté.
recovery-finish = { $organization } met cette nouvelle carte à la place de la carte perdue : elle ouvre votre dossier, et la carte perdue n'ouvre plus rien désormais.

## Emergencies without a line
emergency-at = Vous choisissez où votre résumé d’urgence peut être ouvert même si toutes les lignes sont coupées : { $hospitals }.
emergency-at-how = Là, au moins deux personnes désignées par l’hôpital peuvent l’ouvrir quand vous ne pouvez pas répondre. Il leur faut aussi une carte spéciale de l’hôpital.
emergency-at-seen = Ces hôpitaux reçoivent maintenant une copie de votre résumé d’urgence. Dès que la ligne est rétablie, vous voyez qui l’a ouvert. Vous pouvez changer cela à tout guichet.
emergency-at-none = Vous choisissez que votre résumé d’urgence ne soit ouvert nulle part tant que les lignes sont coupées. Les copies des hôpitaux restent scellées.

## Emergencies, in a patient's list
emergency = { $state ->
    [asked] Urgence : { $grantee } demande à voir { $what }.
    [lapsed] Urgence : { $grantee } a demandé à voir { $what }. Rien n’a été ouvert.
    [open] Urgence : { $grantee } peut voir maintenant { $what }.
   *[over] Urgence : { $grantee } a pu voir { $what }. C’est fini.
}
emergency-what = { $tier ->
    [full] tout votre dossier, sauf les notes privées
   *[summary] votre résumé d’urgence
}
emergency-why = { $reason ->
    [unconscious] Pourquoi : vous étiez sans connaissance.
    [allergy-or-medicine] Pourquoi : il fallait connaître tout de suite vos allergies ou vos médicaments.
    [urgent-surgery] Pourquoi : une opération ne pouvait pas attendre.
    [lack-of-capacity] Pourquoi : vous ne pouviez pas décider à ce moment.
    [card-unusable] Pourquoi : votre carte ne marchait pas et les soins ne pouvaient pas attendre.
   *[other] Pourquoi : il y avait une autre raison.
}
emergency-text = Avec leurs mots : { $text }.
emergency-review = { $outcome ->
    [justified] Le contrôle a conclu : c’était une urgence.
    [not-justified] Le contrôle a conclu : ce n’était pas une urgence.
    [unclear] Le contrôle n’a pas pu dire si c’était une urgence.
   *[none] Cela n’a pas encore été contrôlé.
}

## When something goes wrong
wrong-pin = { $tries ->
    [1] Le code PIN est faux. C’est votre dernier essai : s’il est faux aussi, la carte sera bloquée.
    [one] Le code PIN est faux. Il vous reste { $tries } essai.
   *[other] Le code PIN est faux. Il vous reste { $tries } essais.
}
pin-blocked = Le code PIN est bloqué. Au guichet, il sera débloqué avec le code PUK de votre lettre.
puk-blocked = Cette carte est bloquée pour toujours. Vous en recevrez une autre au guichet.
pin-needed = Veuillez taper votre code PIN.
card-absent = Il n’y a pas de carte dans le lecteur. Veuillez insérer votre carte.
card-removed = La carte a été retirée. Rien n’a changé. Veuillez l’insérer et recommencer.
card-busy = Un autre programme utilise la carte. Veuillez attendre un moment et essayer encore.
card-unsupported = Cette carte ne permet pas cela. Veuillez en prendre une autre.
card-failed = La carte n’a pas fonctionné. Veuillez la retirer, l’insérer et recommencer. Si cela n’aide pas, demandez au guichet.
unknown-card = Cette carte n’est pas connue ici. Veuillez insérer votre propre carte ou demander au guichet.
card-suspended = Cette carte est suspendue et n’ouvre plus rien. Veuillez en demander une autre au guichet.
card-in-use = Cette carte est déjà à quelqu’un. Veuillez en prendre une nouvelle.
tap-expired = Le temps est écoulé. Rien n’a changé. Veuillez recommencer.
tap-cancelled = L’action a été annulée. Rien n’a changé.
not-done = Cela n’a pas marché. Veuillez demander au guichet.

# Anrede: Sie. Beispiele für Begriffe: paper = Unterlage, record = Akte, desk = Schalter.

## Lists and names
list-between = { ", " }
list-last = { " und " }
grantee-person = Die Fachperson mit der Registernummer { $number } ({ $organization })
grantee-unknown = Eine unbekannte Fachperson
grantee-role = { $role } ({ $organization })
grantee-code = Die erste Stelle mit Ihrem Code
grantee-proxy = Ihre Vertretung
paper-elsewhere = eine Unterlage, die nicht hier liegt
no-end = auf Weiteres
category = { $category ->
    [history-and-physical] Untersuchungen
    [laboratory] Laborwerte
    [radiation-dose] Strahlendosen
    [imaging] Bilder
    [medication] Medikamente
    [letters] Briefe
    [emergency-summary] Notfalldaten
   *[private-notes] Privatnotizen
}
purpose = { $purpose ->
    [treatment] Behandlung
    [emergency-treatment] Notfallbehandlung
    [research] Forschung
    [operations] Betrieb des Krankenhauses
   *[patient-request] Ihr eigener Wunsch
}
record-named = { $title } ({ $category })

## Consent
what-categories = Ihre { $list }
what-papers = diese Unterlagen ({ $list })
what-everything = Ihre Unterlagen jeder Art
consent-may = { $rights ->
    [read] { $grantee } darf { $what } lesen.
    [write] { $grantee } darf { $what } ergänzen.
    [read-write] { $grantee } darf { $what } lesen und ergänzen.
    [share] { $grantee } darf { $what } weitergeben.
    [read-share] { $grantee } darf { $what } lesen und weitergeben.
    [write-share] { $grantee } darf { $what } ergänzen und weitergeben.
   *[read-write-share] { $grantee } darf { $what } lesen, ergänzen und weitergeben.
}
consent-why = Wofür: { $purpose }.
consent-when = Von { $from } bis { $until }.
consent-study = { $anonymity ->
    [as-is] Für die Studie { $study }, mit Ihrem Namen.
    [pseudonymised] Für die Studie { $study }, unter einem Code.
   *[anonymised] Für die Studie { $study }, ohne Ihren Namen.
}
consent-label = { $label ->
    [restricted] Auch sensible Unterlagen sind dabei.
   *[very-restricted] Auch sehr sensible Unterlagen sind dabei.
}
consent-once = Das gilt nur einmal.
consent-two-signatures = Änderungen brauchen zwei Unterschriften: Ihre und deren.
consent-stop = Sie können das jeden Tag an jedem Schalter beenden. Auch wenn Sie Nein sagen, werden Sie weiter behandelt.
revoke = Sie beenden die Erlaubnis: { $list }. Das gilt sofort, wo eine Verbindung besteht, und sonst, sobald sie wieder da ist. Neue Unterlagen bleiben dort verschlossen.
revoke-everyone = alle, denen Sie etwas erlaubt haben

## Signing in, enrolment, papers
sign-in = Anmelden bei { $organization }. Sie unterschreiben nur, dass Sie da sind.
create-patient = { $organization } legt Ihre Gesundheitsakte an und führt sie für Sie. Ihre Karte ist der Schlüssel dazu. Heben Sie den gedruckten Ersatzcode gut auf: Er öffnet die Akte, wenn die Karte verloren geht.
add-records = { $organization } legt in dieser Akte ab: { $list }.
access = Eine Unterlage wird geöffnet. Wofür: { $purpose }.
amend-what = Diese Unterlage wird geändert: { $record }.
amend-title = Neuer Titel: { $title }.
amend-category = Neue Art: { $category }.
amend-label = { $label ->
    [normal] Von nun an ist sie nicht mehr sensibel.
    [restricted] Von nun an ist sie sensibel.
   *[very-restricted] Von nun an ist sie sehr sensibel.
}
amend-rest = Danach richtet sich, wer sie lesen darf. Die Datei selbst bleibt, wie sie ist.
amend-alone = Sie unterschreiben das allein.
amend-both = Das unterschreiben gemeinsam: die Person, der die Akte gehört, und { $organization }.

## Erasure
erase-papers = Sie ordnen an, dass diese Unterlagen überall vernichtet werden: { $list }. Niemand kann sie zurückholen.
erase-everything = Sie ordnen an, dass alles, was über Sie gespeichert ist, überall vernichtet wird. Niemand kann es zurückholen.
erase-until = Bis { $day } können Sie das an jedem Schalter zurücknehmen.
erase-agree = Zustimmen muss: { $list }.
erase-stays = Nach dem Gesetz bleibt vermerkt, dass gelöscht wurde. Drei Jahre lang bleibt auch vermerkt, wer Ihre Unterlagen gelesen hat, ohne deren Namen.
take-back = Sie nehmen Ihre Anordnung zurück: Nichts von Ihnen wird vernichtet.

## A lost card
recovery-notice = Mitteilung von { $list } nach Prüfung, wer Sie sind: Eine neue Karte soll an die Stelle der verlorenen treten.
recovery-wait = So viele Stunden lang kann die alte Karte oder das Haus, das Ihre Akte führt, widersprechen: { $hours }. Danach dürfen Vertrauenspersonen den Weg zurück öffnen, nur für diese neue Karte. Heben Sie den gedruckten Ersatzcode gut auf: Er öffnet Ihre Akte, wenn auch diese Karte verloren geht.
recovery-contest = Sie widersprechen: Keine andere Karte tritt an die Stelle der verlorenen, und für sie wird nichts geöffnet. Klären Sie das in dem Haus, das die Akte führt.
recovery-request = { $organization } bittet drei Vertrauenspersonen, den Weg zurück von einer verlorenen Karte zu der neuen Karte zu öffnen, die in der Mitteilung steht. Bis { $until }. Der Patient sieht, wer zugestimmt hat.
recovery-finish = { $organization } setzt diese neue Karte an die Stelle der verlorenen: Sie öffnet Ihre Akte, und die verlorene Karte öffnet ab jetzt nichts mehr.

## Emergencies without a line
emergency-at = Sie bestimmen, wo Ihre Notfalldaten auch dann geöffnet werden dürfen, wenn alle Leitungen ausgefallen sind: { $hospitals }.
emergency-at-how = Dort können mindestens zwei benannte Personen sie öffnen, wenn Sie nicht antworten können. Sie brauchen dazu auch eine besondere Karte des Krankenhauses.
emergency-at-seen = Diese Krankenhäuser erhalten jetzt eine Kopie Ihrer Notfalldaten. Sobald die Leitung wieder da ist, sehen Sie, wer sie geöffnet hat. Sie können das an jedem Schalter ändern.
emergency-at-none = Sie bestimmen, dass Ihre Notfalldaten nirgends geöffnet werden, solange Leitungen ausgefallen sind. Kopien in Krankenhäusern bleiben versiegelt.

## Emergencies, in a patient's list
emergency = { $state ->
    [asked] Notfall: { $grantee } will { $what } sehen.
    [lapsed] Notfall: { $grantee } wollte { $what } sehen. Es wurde nicht geöffnet.
    [open] Notfall: { $grantee } darf jetzt { $what } sehen.
   *[over] Notfall: { $grantee } konnte { $what } sehen. Das ist vorbei.
}
emergency-what = { $tier ->
    [full] Ihre ganze Akte ohne Privatnotizen
   *[summary] Ihre Notfalldaten
}
emergency-why = { $reason ->
    [unconscious] Warum: Sie waren bewusstlos.
    [allergy-or-medicine] Warum: Ihre Allergien oder Medikamente mussten sofort bekannt sein.
    [urgent-surgery] Warum: Eine Operation konnte nicht warten.
    [lack-of-capacity] Warum: Sie konnten in dieser Zeit nicht entscheiden.
    [card-unusable] Warum: Ihre Karte ging nicht, und die Behandlung konnte nicht warten.
   *[other] Warum: Es gab einen anderen Grund.
}
emergency-text = In deren Worten: { $text }.
emergency-review = { $outcome ->
    [justified] Die Prüfung ergab: Es war ein Notfall.
    [not-justified] Die Prüfung ergab: Es war kein Notfall.
    [unclear] Die Prüfung konnte nicht klären, ob es ein Notfall war.
   *[none] Das wurde noch nicht geprüft.
}

## When something goes wrong
wrong-pin = { $tries ->
    [1] Die PIN war falsch. Das ist Ihr letzter Versuch: Ist auch er falsch, wird die Karte gesperrt.
   *[other] Die PIN war falsch. Sie haben noch { $tries } Versuche.
}
pin-blocked = Die PIN ist gesperrt. Am Schalter wird sie mit der PUK aus Ihrem Brief entsperrt.
puk-blocked = Diese Karte ist endgültig gesperrt. Am Schalter bekommen Sie eine neue.
pin-needed = Bitte geben Sie Ihre PIN ein.
card-absent = Im Lesegerät steckt keine Karte. Bitte stecken Sie Ihre Karte ein.
card-removed = Die Karte wurde herausgezogen. Es hat sich nichts geändert. Bitte stecken Sie sie ein und beginnen Sie neu.
card-busy = Ein anderes Programm benutzt gerade die Karte. Bitte warten Sie kurz und versuchen Sie es noch einmal.
card-unsupported = Diese Karte kann das nicht. Bitte nehmen Sie eine andere.
card-failed = Die Karte hat nicht funktioniert. Bitte ziehen Sie sie heraus, stecken Sie sie ein und beginnen Sie neu. Wenn das nicht hilft, fragen Sie am Schalter.
unknown-card = Diese Karte ist hier nicht bekannt. Bitte stecken Sie Ihre eigene Karte ein oder fragen Sie am Schalter.
card-suspended = Diese Karte ist gesperrt und öffnet nichts mehr. Bitte fragen Sie am Schalter nach einer neuen.
card-in-use = Diese Karte gehört schon jemandem. Bitte nehmen Sie eine neue.
tap-expired = Die Zeit ist abgelaufen. Es hat sich nichts geändert. Bitte beginnen Sie neu.
tap-cancelled = Das wurde abgebrochen. Es hat sich nichts geändert.
not-done = Das hat nicht geklappt. Bitte fragen Sie am Schalter.

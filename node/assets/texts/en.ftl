# What patients read at a tap, and what the screen says when something goes wrong with a card.
# Every file of this folder has the same messages with the same arguments: a test compares them with this one.

## Lists and names
list-between = { ", " }
list-last = { " and " }
grantee-person = The practitioner with register number { $number } of { $organization }
grantee-unknown = An unknown practitioner
grantee-role = { $role } of { $organization }
grantee-code = Whoever first shows your code
grantee-proxy = Your proxy
paper-elsewhere = a paper that is not here
no-end = further notice
category = { $category ->
    [history-and-physical] examinations
    [laboratory] lab results
    [radiation-dose] radiation doses
    [imaging] images
    [medication] medicines
    [letters] letters
    [emergency-summary] emergency summary
   *[private-notes] private notes
}
purpose = { $purpose ->
    [treatment] treatment
    [emergency-treatment] emergency treatment
    [research] research
    [operations] running the hospital
   *[patient-request] your own request
}
record-named = { $title } ({ $category })

## Consent
what-categories = your { $list }
what-papers = these papers: { $list }
what-everything = your papers of every kind
consent-may = { $rights ->
    [read] { $grantee } may read { $what }.
    [write] { $grantee } may add to { $what }.
    [read-write] { $grantee } may read and add to { $what }.
    [share] { $grantee } may share { $what }.
    [read-share] { $grantee } may read and share { $what }.
    [write-share] { $grantee } may add to and share { $what }.
   *[read-write-share] { $grantee } may read, add to and share { $what }.
}
consent-why = Why: { $purpose }.
consent-when = From { $from } until { $until }.
consent-study = { $anonymity ->
    [as-is] For study { $study }, with your name.
    [pseudonymised] For study { $study }, under a code.
   *[anonymised] For study { $study }, without your name.
}
consent-label = { $label ->
    [restricted] Sensitive papers are included.
   *[very-restricted] Very sensitive papers are included.
}
consent-once = This works once.
consent-two-signatures = Changes need two signatures: yours and theirs.
consent-stop = You can stop this any day, at any desk. If you say no, your care goes on.
revoke = You stop this: { $list }. It stops at once where there is a line, and elsewhere when the line is back. New papers are locked away from them.
revoke-everyone = everyone whom you let in

## Signing in, enrolment, papers
sign-in = Sign in at { $organization }. Nothing is signed but your presence.
create-patient = { $organization } makes your health record and becomes your home. Your card is its key. Keep the recovery code that is printed: it opens the record if the card is lost.
add-records = { $organization } files for this patient: { $list }.
access = A record is opened. Why: { $purpose }.
amend-what = This paper is changed: { $record }.
amend-title = New title: { $title }.
amend-category = New kind: { $category }.
amend-label = { $label ->
    [normal] From now on it is of normal sensitivity.
    [restricted] From now on it is sensitive.
   *[very-restricted] From now on it is very sensitive.
}
amend-rest = Who may read it follows from that. The file itself stays as it is.
amend-alone = You sign this alone.
amend-both = The patient and { $organization } sign this together.

## Erasure
erase-papers = You order that these papers are destroyed, wherever they lie: { $list }. Nobody can bring them back.
erase-everything = You order that everything that is kept of you is destroyed, wherever it lies. Nobody can bring it back.
erase-until = Until { $day } you can take this order back at any desk.
erase-agree = Must agree: { $list }.
erase-stays = By law it stays on record that this was done. For three years it also stays who had read your papers, without their names.
take-back = You take your order back: nothing of yours is destroyed.

## A lost card
recovery-notice = Notice by { $list }, who looked at who this patient is: a new card is to take the place of the lost one.
recovery-wait = For so many hours the old card or the home can contest it: { $hours }. Then guardians may open the way back, to this new card alone. Keep the recovery code that is printed: it opens your record if this card is lost too.
recovery-contest = You contest that another card takes the place of the lost one: nothing is opened for it. Go to the patient's home to settle it.
recovery-request = { $organization } asks three guardians to open the way back of a lost card to the new card that its notice names. Until { $until }. The patient will see who approved.
recovery-finish = { $organization } puts this new card in the place of the lost one: it opens your record, and the lost card is dead from now on.

## Emergencies without a line
emergency-at = You choose where your emergency summary may be opened even if all lines are down: { $hospitals }.
emergency-at-how = There, at least two people whom the hospital has named can open it when you cannot answer. They also need a special card of the hospital.
emergency-at-seen = These hospitals get a copy of your emergency summary now. As soon as the line is back you see who opened it. You can change this at any desk.
emergency-at-none = You choose that your emergency summary is opened nowhere while lines are down. Copies that hospitals have stay sealed.

## Emergencies, in a patient's list
emergency = { $state ->
    [asked] Emergency: { $grantee } asks to see { $what }.
    [lapsed] Emergency: { $grantee } asked to see { $what }. It was not opened.
    [open] Emergency: { $grantee } may see { $what } now.
   *[over] Emergency: { $grantee } could see { $what }. That is over.
}
emergency-what = { $tier ->
    [full] your whole record, but for private notes
   *[summary] your emergency summary
}
emergency-why = { $reason ->
    [unconscious] Why: you were unconscious.
    [allergy-or-medicine] Why: your allergies or medicines had to be known at once.
    [urgent-surgery] Why: an operation could not wait.
    [lack-of-capacity] Why: you could not decide at that time.
    [card-unusable] Why: your card could not be used and care could not wait.
   *[other] Why: there was another reason.
}
emergency-text = In their words: { $text }.
emergency-review = { $outcome ->
    [justified] A review found: there was an emergency.
    [not-justified] A review found: there was no emergency.
    [unclear] A review could not tell whether there was an emergency.
   *[none] It has not been reviewed yet.
}

## When something goes wrong
wrong-pin = { $tries ->
    [1] The PIN was wrong. This is your last try: if it is wrong too, the card is blocked.
   *[other] The PIN was wrong. You have { $tries } tries left.
}
pin-blocked = The PIN is blocked. At the desk it is opened again with the PUK on your letter.
puk-blocked = This card is blocked for good. You get a new one at the desk.
pin-needed = Please type your PIN.
card-absent = No card is in the reader. Please put your card in.
card-removed = The card was taken out. Nothing has changed. Please put it in and begin again.
card-busy = Another program is using the card. Please wait a moment and try again.
card-unsupported = This card can't do that. Please use another one.
card-failed = The card did not work. Please take it out, put it in and begin again. If that doesn't help, ask at the desk.
unknown-card = This card is not known here. Please put your own card in, or ask at the desk.
card-suspended = This card is suspended and opens nothing. Please ask for a new one at the desk.
card-in-use = This card belongs to somebody already. Please use a new one.
tap-expired = The time is over. Nothing has changed. Please begin again.
tap-cancelled = This was cancelled. Nothing has changed.
not-done = That did not work. Please ask at the desk.

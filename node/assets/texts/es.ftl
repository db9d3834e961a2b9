# Tratamiento: usted. Términos: paper = documento, record = historia clínica, desk = mostrador.

## Lists and names
list-between = { ", " }
list-last = { " y " }
grantee-person = El profesional con número de registro { $number } ({ $organization })
grantee-unknown = Un profesional desconocido
grantee-role = { $role } ({ $organization })
grantee-code = La primera persona que muestre su código
grantee-proxy = Su representante
paper-elsewhere = un documento que no está aquí
no-end = nuevo aviso
category = { $category ->
    [history-and-physical] exámenes
    [laboratory] resultados de laboratorio
    [radiation-dose] dosis de radiación
    [imaging] pruebas de imagen
    [medication] medicamentos
    [letters] cartas
    [emergency-summary] resumen de urgencia
   *[private-notes] notas privadas
}
purpose = { $purpose ->
    [treatment] tratamiento
    [emergency-treatment] tratamiento de urgencia
    [research] investigación
    [operations] gestión del hospital
   *[patient-request] su propia petición
}
record-named = { $title } ({ $category })

## Consent
what-categories = en su historia clínica: { $list }
what-papers = estos documentos: { $list }
what-everything = sus documentos de todo tipo
consent-may = { $rights ->
    [read] { $grantee } puede leer { $what }.
    [write] { $grantee } puede completar { $what }.
    [read-write] { $grantee } puede leer y completar { $what }.
    [share] { $grantee } puede compartir { $what }.
    [read-share] { $grantee } puede leer y compartir { $what }.
    [write-share] { $grantee } puede completar y compartir { $what }.
   *[read-write-share] { $grantee } puede leer, completar y compartir { $what }.
}
consent-why = Para qué: { $purpose }.
consent-when = Desde { $from } hasta { $until }.
consent-study = { $anonymity ->
    [as-is] Para el estudio { $study }, con su nombre.
    [pseudonymised] Para el estudio { $study }, con un código.
   *[anonymised] Para el estudio { $study }, sin su nombre.
}
consent-label = { $label ->
    [restricted] Incluye documentos delicados.
   *[very-restricted] Incluye documentos muy delicados.
}
consent-once = Solo vale una vez.
consent-two-signatures = Los cambios necesitan dos firmas: la de usted y la de ellos.
consent-stop = Puede pararlo cualquier día, en cualquier mostrador. Si dice que no, le seguirán atendiendo.
revoke = Usted retira este permiso: { $list }. Se retira al momento donde hay conexión, y en los demás sitios cuando vuelva. Los documentos nuevos quedan cerrados para ellos.
revoke-everyone = todos a quienes dio permiso

## Signing in, enrolment, papers
sign-in = Entrar en { $organization }. Solo firma que usted está aquí.
create-patient = { $organization } crea su historia clínica y la guarda para usted. Su tarjeta es la llave. Guarde bien el código de recuperación impreso: abre la historia si pierde la tarjeta.
add-records = { $organization } guarda en esta historia clínica: { $list }.
access = Se abre un documento. Para qué: { $purpose }.
amend-what = Este documento cambia: { $record }.
amend-title = Título nuevo: { $title }.
amend-category = Tipo nuevo: { $category }.
amend-label = { $label ->
    [normal] Desde ahora no es delicado.
    [restricted] Desde ahora es delicado.
   *[very-restricted] Desde ahora es muy delicado.
}
amend-rest = De eso depende quién puede leerlo. El archivo queda como está.
amend-alone = Basta con la firma de usted.
amend-both = Firman juntos: la persona de esta historia y { $organization }.

## Erasure
erase-papers = Usted pide que estos documentos se destruyan en todas partes: { $list }. Nadie puede recuperarlos.
erase-everything = Usted pide que todo lo que se guarda de usted se destruya en todas partes. Nadie puede recuperarlo.
erase-until = Hasta { $day } puede anular esta petición en cualquier mostrador.
erase-agree = Debe estar de acuerdo: { $list }.
erase-stays = Por ley queda anotado que esto se hizo. Durante tres años también queda anotado quién leyó sus documentos, sin los nombres de estos.
take-back = Usted anula su petición: no se destruye nada suyo.

## A lost card
recovery-notice = Aviso de { $list }, tras comprobar quién es usted: una tarjeta nueva va a sustituir a la perdida.
recovery-wait = La tarjeta antigua o el centro que guarda su historia puede oponerse durante este número de horas: { $hours }. Después, personas de confianza pueden abrir de nuevo el acceso, solo para esta tarjeta nueva. Guarde bien el código de recuperación impreso: abre su historia si también pierde esta tarjeta.
recovery-contest = Usted se opone a que otra tarjeta sustituya a la perdida: no se abre nada para ella. Vaya al centro que guarda la historia para resolverlo.
recovery-request = { $organization } pide a tres personas de confianza que abran de nuevo el acceso de una tarjeta perdida, para la tarjeta nueva que nombra el aviso. Hasta { $until }. El paciente verá quién lo aprobó.
recovery-finish = { $organization } pone esta tarjeta nueva en lugar de la perdida: abre su historia, y la tarjeta perdida ya no abre nada.

## Emergencies without a line
emergency-at = Usted elige dónde se puede abrir su resumen de urgencia aunque todas las líneas estén cortadas: { $hospitals }.
emergency-at-how = Allí, al menos dos personas nombradas por el hospital pueden abrirlo cuando usted no pueda responder. También necesitan una tarjeta especial del hospital.
emergency-at-seen = Estos hospitales reciben ahora una copia de su resumen de urgencia. En cuanto vuelva la línea, usted verá quién lo abrió. Puede cambiarlo en cualquier mostrador.
emergency-at-none = Usted elige que su resumen de urgencia no se abra en ningún lugar mientras las líneas estén cortadas. Las copias de los hospitales siguen selladas.

## Emergencies, in a patient's list
emergency = { $state ->
    [asked] Urgencia: { $grantee } pide ver { $what }.
    [lapsed] Urgencia: { $grantee } pidió ver { $what }. No se abrió nada.
    [open] Urgencia: { $grantee } puede ver ahora { $what }.
   *[over] Urgencia: { $grantee } pudo ver { $what }. Ya terminó.
}
emergency-what = { $tier ->
    [full] toda su historia clínica, menos las notas privadas
   *[summary] su resumen de urgencia
}
emergency-why = { $reason ->
    [unconscious] Por qué: usted estaba inconsciente.
    [allergy-or-medicine] Por qué: había que conocer al momento sus alergias o medicamentos.
    [urgent-surgery] Por qué: una operación no podía esperar.
    [lack-of-capacity] Por qué: usted no podía decidir en ese momento.
    [card-unusable] Por qué: su tarjeta no se podía usar y la atención no podía esperar.
   *[other] Por qué: había otro motivo.
}
emergency-text = Con sus palabras: { $text }.
emergency-review = { $outcome ->
    [justified] La revisión concluyó: hubo una urgencia.
    [not-justified] La revisión concluyó: no hubo una urgencia.
    [unclear] La revisión no pudo aclarar si hubo una urgencia.
   *[none] Todavía no se ha revisado.
}

## When something goes wrong
wrong-pin = { $tries ->
    [1] El PIN no es correcto. Este es su último intento: si también falla, la tarjeta se bloquea.
   *[other] El PIN no es correcto. Le quedan { $tries } intentos.
}
pin-blocked = El PIN está bloqueado. En el mostrador lo desbloquean con el PUK de su carta.
puk-blocked = Esta tarjeta está bloqueada para siempre. En el mostrador le darán otra.
pin-needed = Escriba su PIN, por favor.
card-absent = No hay ninguna tarjeta en el lector. Ponga su tarjeta, por favor.
card-removed = Se ha sacado la tarjeta. No ha cambiado nada. Póngala y empiece de nuevo, por favor.
card-busy = Otro programa está usando la tarjeta. Espere un momento e inténtelo otra vez, por favor.
card-unsupported = Esta tarjeta no puede hacer eso. Use otra, por favor.
card-failed = La tarjeta no ha funcionado. Sáquela, póngala y empiece de nuevo, por favor. Si no sirve, pregunte en el mostrador.
unknown-card = Esta tarjeta no se conoce aquí. Ponga su propia tarjeta o pregunte en el mostrador, por favor.
card-suspended = Esta tarjeta está suspendida y ya no abre nada. Pida una nueva en el mostrador, por favor.
card-in-use = Esta tarjeta ya es de alguien. Use una nueva, por favor.
tap-expired = Se acabó el tiempo. No ha cambiado nada. Empiece de nuevo, por favor.
tap-cancelled = Se ha cancelado. No ha cambiado nada.
not-done = No ha funcionado. Pregunte en el mostrador, por favor.

# المخاطَب بلا تمييز بين المذكر والمؤنث قدر الإمكان. paper = ورقة، record = ملف، desk = مكتب.

## Lists and names
list-between = { "، " }
list-last = { " و" }
grantee-person = الممارس الصحي صاحب رقم السجل { $number } من { $organization }
grantee-unknown = ممارس صحي غير معروف
grantee-role = { $role } من { $organization }
grantee-code = أول من يعرض رمزك
grantee-proxy = وكيلك
paper-elsewhere = ورقة ليست هنا
no-end = إشعار آخر
category = { $category ->
    [history-and-physical] الفحوص
    [laboratory] نتائج المختبر
    [radiation-dose] جرعات الإشعاع
    [imaging] الصور
    [medication] الأدوية
    [letters] الرسائل
    [emergency-summary] ملخص الطوارئ
   *[private-notes] الملاحظات الخاصة
}
purpose = { $purpose ->
    [treatment] العلاج
    [emergency-treatment] علاج الطوارئ
    [research] البحث العلمي
    [operations] إدارة المستشفى
   *[patient-request] طلب منك
}
record-named = { $title } ({ $category })

## Consent
what-categories = أوراقك ({ $list })
what-papers = هذه الأوراق ({ $list })
what-everything = أوراقك بكل أنواعها
consent-may = { $rights ->
    [read] بإمكان { $grantee } قراءة { $what }.
    [write] بإمكان { $grantee } الإضافة إلى { $what }.
    [read-write] بإمكان { $grantee } قراءة { $what } والإضافة إليها.
    [share] بإمكان { $grantee } مشاركة { $what }.
    [read-share] بإمكان { $grantee } قراءة { $what } ومشاركتها.
    [write-share] بإمكان { $grantee } الإضافة إلى { $what } ومشاركتها.
   *[read-write-share] بإمكان { $grantee } قراءة { $what } والإضافة إليها ومشاركتها.
}
consent-why = السبب: { $purpose }.
consent-when = من { $from } إلى { $until }.
consent-study = { $anonymity ->
    [as-is] لأجل الدراسة { $study }، مع اسمك.
    [pseudonymised] لأجل الدراسة { $study }، برمز بدل اسمك.
   *[anonymised] لأجل الدراسة { $study }، بدون اسمك.
}
consent-label = { $label ->
    [restricted] يشمل ذلك أوراقًا حساسة.
   *[very-restricted] يشمل ذلك أوراقًا حساسة جدًا.
}
consent-once = يصلح هذا لمرة واحدة فقط.
consent-two-signatures = تحتاج التغييرات إلى توقيعين: توقيعك وتوقيعهم.
consent-stop = يمكنك إيقاف هذا في أي يوم وفي أي مكتب. وفي حال الرفض تستمر رعايتك.
revoke = بهذا يتوقف الإذن: { $list }. يتوقف فورًا حيث يوجد اتصال، وفي غيره عند عودة الاتصال. وتبقى الأوراق الجديدة مغلقة أمامهم.
revoke-everyone = كل من سمحت له

## Signing in, enrolment, papers
sign-in = تسجيل الدخول لدى { $organization }. توقيعك يثبت حضورك فقط.
create-patient = لدى { $organization } يُنشأ ملفك الصحي ويُحفظ. بطاقتك هي مفتاحه. يُرجى الاحتفاظ برمز الاسترداد المطبوع: فهو يفتح الملف إذا ضاعت البطاقة.
add-records = لدى { $organization } يُحفظ في هذا الملف: { $list }.
access = تُفتح ورقة. السبب: { $purpose }.
amend-what = تتغير هذه الورقة: { $record }.
amend-title = العنوان الجديد: { $title }.
amend-category = النوع الجديد: { $category }.
amend-label = { $label ->
    [normal] من الآن هي ورقة عادية.
    [restricted] من الآن هي ورقة حساسة.
   *[very-restricted] من الآن هي ورقة حساسة جدًا.
}
amend-rest = وبهذا يتحدد من يمكنه قراءتها. أما الملف نفسه فيبقى كما هو.
amend-alone = يكفي هنا توقيعك وحدك.
amend-both = يوقّع على هذا معًا صاحب الملف و{ $organization }.

## Erasure
erase-papers = بطلبك تُتلف هذه الأوراق أينما كانت: { $list }. ولا يستطيع أحد استعادتها.
erase-everything = بطلبك يُتلف كل ما يُحفظ عنك أينما كان. ولا يستطيع أحد استعادته.
erase-until = حتى { $day } يمكنك سحب هذا الطلب في أي مكتب.
erase-agree = تلزم موافقة: { $list }.
erase-stays = بحكم القانون يبقى مسجلًا أن هذا قد حصل. ويبقى لثلاث سنوات أيضًا من قرأ أوراقك، دون أسمائها.
take-back = بهذا يُسحب طلبك: لن يُتلف شيء يخصك.

## A lost card
recovery-notice = إشعار من { $list } بعد التحقق من هويتك: ستحل بطاقة جديدة محل البطاقة الضائعة.
recovery-wait = عدد الساعات التي يمكن فيها الاعتراض بالبطاقة القديمة أو من الجهة التي تحفظ ملفك: { $hours }. بعدها يجوز لأشخاص مؤتمنين فتح الطريق من جديد لهذه البطاقة الجديدة وحدها. يُرجى الاحتفاظ برمز الاسترداد المطبوع: فهو يفتح ملفك إذا ضاعت هذه البطاقة أيضًا.
recovery-contest = بهذا يُعترض على أن تحل بطاقة أخرى محل البطاقة الضائعة: لا يُفتح لها شيء. تُسوّى المسألة لدى الجهة التي تحفظ الملف.
recovery-request = طلب من { $organization } إلى ثلاثة أشخاص مؤتمنين لفتح الطريق من بطاقة ضائعة إلى البطاقة الجديدة المذكورة في الإشعار. حتى { $until }. سيرى المريض من وافق.
recovery-finish = لدى { $organization } تحل هذه البطاقة الجديدة محل البطاقة الضائعة: فهي تفتح ملفك، والبطاقة الضائعة لا تفتح شيئًا من الآن.

## Emergencies without a line
emergency-at = أنت تختار أين يمكن فتح ملخص الطوارئ الخاص بك حتى لو انقطعت كل الخطوط: { $hospitals }.
emergency-at-how = هناك يمكن لشخصين على الأقل عيّنهما المستشفى فتحه عندما لا تستطيع الإجابة. ويحتاجان أيضًا إلى بطاقة خاصة بالمستشفى.
emergency-at-seen = تحصل هذه المستشفيات الآن على نسخة من ملخص الطوارئ الخاص بك. وعندما يعود الخط ترى من فتحه. يمكنك تغيير ذلك عند أي مكتب.
emergency-at-none = أنت تختار ألا يُفتح ملخص الطوارئ الخاص بك في أي مكان ما دامت الخطوط مقطوعة. وتبقى النسخ لدى المستشفيات مختومة.

## Emergencies, in a patient's list
emergency = { $state ->
    [asked] طوارئ: طُلب الاطلاع على { $what }. الطالب: { $grantee }.
    [lapsed] طوارئ: طُلب الاطلاع على { $what } ولم يُفتح شيء. الطالب: { $grantee }.
    [open] طوارئ: بإمكان { $grantee } الآن الاطلاع على { $what }.
   *[over] طوارئ: كان بإمكان { $grantee } الاطلاع على { $what }. وقد انتهى ذلك.
}
emergency-what = { $tier ->
    [full] ملفك كله ما عدا الملاحظات الخاصة
   *[summary] ملخص الطوارئ الخاص بك
}
emergency-why = { $reason ->
    [unconscious] السبب: فقدان الوعي.
    [allergy-or-medicine] السبب: كان لا بد من معرفة الحساسية أو الأدوية فورًا.
    [urgent-surgery] السبب: عملية جراحية لا تنتظر.
    [lack-of-capacity] السبب: لم تكن لديك القدرة على القرار في ذلك الوقت.
    [card-unusable] السبب: تعذر استخدام بطاقتك ولم يكن العلاج ينتظر.
   *[other] السبب: سبب آخر.
}
emergency-text = بكلماتهم: { $text }.
emergency-review = { $outcome ->
    [justified] نتيجة المراجعة: كانت هناك حالة طوارئ.
    [not-justified] نتيجة المراجعة: لم تكن هناك حالة طوارئ.
    [unclear] لم تتمكن المراجعة من معرفة ما إذا كانت هناك حالة طوارئ.
   *[none] لم تُراجع هذه الحالة بعد.
}

## When something goes wrong
wrong-pin = { $tries ->
    [1] رمز PIN خاطئ. هذه محاولتك الأخيرة: إذا كانت خاطئة أيضًا تُقفل البطاقة.
    [two] رمز PIN خاطئ. بقيت لك محاولتان.
    [few] رمز PIN خاطئ. بقيت لك { $tries } محاولات.
   *[other] رمز PIN خاطئ. بقيت لك { $tries } محاولة.
}
pin-blocked = رمز PIN مقفل. يُفتح في المكتب برمز PUK المكتوب في رسالتك.
puk-blocked = هذه البطاقة مقفلة نهائيًا. تُعطى لك بطاقة جديدة في المكتب.
pin-needed = يُرجى كتابة رمز PIN.
card-absent = لا توجد بطاقة في القارئ. يُرجى إدخال بطاقتك.
card-removed = أُخرجت البطاقة. لم يتغير شيء. يُرجى إدخالها والبدء من جديد.
card-busy = يستخدم برنامج آخر هذه البطاقة الآن. يُرجى الانتظار قليلًا ثم المحاولة من جديد.
card-unsupported = هذه البطاقة لا تستطيع ذلك. يُرجى استخدام بطاقة أخرى.
card-failed = لم تعمل البطاقة. يُرجى إخراجها وإدخالها والبدء من جديد. وإذا لم ينفع ذلك فيُرجى السؤال في المكتب.
unknown-card = هذه البطاقة غير معروفة هنا. يُرجى إدخال بطاقتك أنت أو السؤال في المكتب.
card-suspended = هذه البطاقة موقوفة ولا تفتح شيئًا. يُرجى طلب بطاقة جديدة في المكتب.
card-in-use = هذه البطاقة لها صاحب. يُرجى استخدام بطاقة جديدة.
tap-expired = انتهى الوقت. لم يتغير شيء. يُرجى البدء من جديد.
tap-cancelled = أُلغي هذا الطلب. لم يتغير شيء.
not-done = لم ينجح ذلك. يُرجى السؤال في المكتب.

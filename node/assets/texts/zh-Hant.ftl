# 稱呼用「您」。paper = 文件，record = 健康紀錄，desk = 櫃檯。

## Lists and names
list-between = 、
list-last = 和
grantee-person = { $organization }登記號碼 { $number } 的醫事人員
grantee-unknown = 不明的醫事人員
grantee-role = { $organization }的 { $role }
grantee-code = 第一位出示您代碼的人
grantee-proxy = 您的代理人
paper-elsewhere = 一份不在這裡的文件
no-end = 另行通知
category = { $category ->
    [history-and-physical] 檢查紀錄
    [laboratory] 檢驗結果
    [radiation-dose] 輻射劑量
    [imaging] 影像
    [medication] 用藥
    [letters] 信件
    [emergency-summary] 緊急摘要
   *[private-notes] 私人筆記
}
purpose = { $purpose ->
    [treatment] 治療
    [emergency-treatment] 緊急治療
    [research] 研究
    [operations] 醫院運作
   *[patient-request] 您自己的要求
}
record-named = { $title }（{ $category }）

## Consent
what-categories = 您的{ $list }
what-papers = 這些文件（{ $list }）
what-everything = 您的各類文件
consent-may = { $rights ->
    [read] { $grantee } 可以讀取{ $what }。
    [write] { $grantee } 可以增添{ $what }。
    [read-write] { $grantee } 可以讀取和增添{ $what }。
    [share] { $grantee } 可以把{ $what }提供給他人。
    [read-share] { $grantee } 可以讀取{ $what }，並提供給他人。
    [write-share] { $grantee } 可以增添{ $what }，並提供給他人。
   *[read-write-share] { $grantee } 可以讀取和增添{ $what }，並提供給他人。
}
consent-why = 用途：{ $purpose }。
consent-when = 從 { $from } 到 { $until }。
consent-study = { $anonymity ->
    [as-is] 用於研究 { $study }，附上您的姓名。
    [pseudonymised] 用於研究 { $study }，以代碼代替姓名。
   *[anonymised] 用於研究 { $study }，不附您的姓名。
}
consent-label = { $label ->
    [restricted] 也包括敏感文件。
   *[very-restricted] 也包括非常敏感的文件。
}
consent-once = 只能使用一次。
consent-two-signatures = 更改需要您和對方都簽署。
consent-stop = 您任何一天都可以在任何櫃檯停止。即使您不同意，也會繼續得到照護。
revoke = 您停止這項同意：{ $list }。有連線的地方立即停止，其他地方等恢復連線後停止。新文件不會對他們開放。
revoke-everyone = 您允許過的所有人

## Signing in, enrolment, papers
sign-in = 登入{ $organization }。您只簽署您本人在場。
create-patient = { $organization }為您建立健康紀錄並負責保管。您的卡片就是鑰匙。請收好列印的復原碼：卡片遺失時，可以用它打開紀錄。
add-records = { $organization }存入這份健康紀錄：{ $list }。
access = 打開一份文件。用途：{ $purpose }。
amend-what = 這份文件要更改：{ $record }。
amend-title = 新標題：{ $title }。
amend-category = 新類別：{ $category }。
amend-label = { $label ->
    [normal] 從現在起，這是一般文件。
    [restricted] 從現在起，這是敏感文件。
   *[very-restricted] 從現在起，這是非常敏感的文件。
}
amend-rest = 誰可以讀取會隨之改變。檔案本身保持不變。
amend-alone = 這由您一人簽署。
amend-both = 這由紀錄的本人和{ $organization }共同簽署。

## Erasure
erase-papers = 您要求銷毀這些文件：{ $list }。不論存放在哪裡都會銷毀，沒有人能復原。
erase-everything = 您要求銷毀所有關於您的資料。不論存放在哪裡都會銷毀，沒有人能復原。
erase-until = 到 { $day } 為止，您可以在任何櫃檯收回這項要求。
erase-agree = 還需要同意的是：{ $list }。
erase-stays = 依法律規定，會留下已經銷毀的紀錄。誰讀過您的文件也會保留三年，但不含文件名稱。
take-back = 您收回要求：您的資料不會被銷毀。

## A lost card
recovery-notice = { $list }確認您的身分後通知：新卡片將取代遺失的卡片。
recovery-wait = 舊卡片或保管您紀錄的機構可以提出異議的時數：{ $hours }。之後，受託人可以重新開啟，只限這張新卡片。請收好列印的復原碼：這張卡片也遺失時，可以用它打開您的紀錄。
recovery-contest = 您反對用另一張卡片取代遺失的卡片：不會為它打開任何內容。請到保管紀錄的機構處理。
recovery-request = { $organization }請三位受託人把遺失卡片的存取權重新開啟給通知中所寫的新卡片。期限：{ $until }。病人會看到誰同意了。
recovery-finish = { $organization }用這張新卡片取代遺失的卡片：它能打開您的紀錄，遺失的卡片從現在起打不開任何內容。

## Emergencies without a line
emergency-at = 您選擇在所有線路中斷時，仍可在哪裡開啟您的緊急摘要：{ $hospitals }。
emergency-at-how = 在那裡，當您無法回答時，至少兩位醫院指定的人可以開啟它。他們還需要醫院的一張特別的卡。
emergency-at-seen = 這些醫院現在會得到您的緊急摘要副本。線路恢復後，您會看到誰開啟過。您可以在任何櫃檯更改。
emergency-at-none = 您選擇在線路中斷時，不在任何地方開啟您的緊急摘要。醫院裡的副本仍然是封存的。

## Emergencies, in a patient's list
emergency = { $state ->
    [asked] 緊急情況：{ $grantee } 要求查看{ $what }。
    [lapsed] 緊急情況：{ $grantee } 曾要求查看{ $what }。沒有打開任何資料。
    [open] 緊急情況：{ $grantee } 現在可以查看{ $what }。
   *[over] 緊急情況：{ $grantee } 曾可查看{ $what }。現在已結束。
}
emergency-what = { $tier ->
    [full] 您的完整健康紀錄（私人筆記除外）
   *[summary] 您的緊急摘要
}
emergency-why = { $reason ->
    [unconscious] 原因：您當時失去意識。
    [allergy-or-medicine] 原因：必須立即知道您的過敏或用藥。
    [urgent-surgery] 原因：手術不能等待。
    [lack-of-capacity] 原因：您當時無法自己決定。
    [card-unusable] 原因：您的卡片無法使用，而照護不能等待。
   *[other] 原因：有其他理由。
}
emergency-text = 對方的說明：{ $text }。
emergency-review = { $outcome ->
    [justified] 審查結果：確實是緊急情況。
    [not-justified] 審查結果：不是緊急情況。
    [unclear] 審查無法確定是否為緊急情況。
   *[none] 尚未審查。
}

## When something goes wrong
wrong-pin = { $tries ->
    [1] PIN 錯誤。這是最後一次機會：再錯一次，卡片就會鎖住。
   *[other] PIN 錯誤。您還可以再試 { $tries } 次。
}
pin-blocked = PIN 已鎖住。請到櫃檯，用您信中的 PUK 解鎖。
puk-blocked = 這張卡片已永久鎖住。請到櫃檯領取新卡。
pin-needed = 請輸入您的 PIN。
card-absent = 讀卡機裡沒有卡片。請插入您的卡片。
card-removed = 卡片被拔出了。沒有任何改變。請插入卡片，重新開始。
card-busy = 另一個程式正在使用卡片。請稍等一下再試。
card-unsupported = 這張卡片不支援這項功能。請使用另一張。
card-failed = 卡片沒有反應。請拔出再插入卡片，重新開始。如果還是不行，請洽櫃檯。
unknown-card = 這裡不認識這張卡片。請插入您自己的卡片，或洽櫃檯。
card-suspended = 這張卡片已停用，不能打開任何資料。請到櫃檯申請新卡。
card-in-use = 這張卡片已經有人使用。請使用新卡。
tap-expired = 時間已到。沒有任何改變。請重新開始。
tap-cancelled = 已取消。沒有任何改變。
not-done = 沒有成功。請洽櫃檯。

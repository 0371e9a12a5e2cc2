"""The hard rules' patterns: what no model may overrule. They are read against folded text (`folding.readings`)."""

import re
from dataclasses import dataclass

from processors.folding import fold
from processors.rules_abroad import ABROAD


@dataclass(frozen=True)
class Rule:
    """A name, what to tell the person who takes the ticket, and the phrases that fire it."""

    name: str
    reason: str
    pattern: re.Pattern[str]


def _any(*phrases: str) -> re.Pattern[str]:
    return re.compile("|".join(phrases))


_MY = r"(?:my|our|the|this|that|an?|mine)"
_SOMEONE = (
    r"(?:some ?(?:one|body)|a stranger|strangers?|an? unknown (?:person|device)|another person|hackers?|thie(?:f|ves))"
)
_RELATION = (
    r"(?:wi(?:fe|ves)|husband|hubby|spouse|partner|girlfriend|boyfriend|ex(?:[ -]?(?:wife|husband|boyfriend|girlfriend"
    r"|partner))?"
    r"|mother|mom|mum|mam|father|dad|parents?|son|daughter|child|kid|brother|sister|friend|neighbou?r|room ?mate|flat"
    r" ?mate|"
    r"colleague|co-?worker|boss|employee|aunt|uncle|cousin|niece|nephew|grand\w+|fiancee?|\w+[- ]in[- ]law|tenant"
    r"|landlord|"
    r"client)"
)
_OWNED = (
    r"(?:orders?|parcels?|packages?|purchases?|deliver(?:y|ies)|shipments?|refunds?|subscriptions?|tracking|order"
    r" history|"
    r"invoices?|wish ?list)"
)
_WHERE = r"(?:(?:home |delivery |e-?mail )?address|(?:phone )?number|whereabouts)"
_PERSON = (
    r"(?:person|human(?: being)?|agent|representative|rep|operator|advis[oe]r|manager|supervisor|employee|team member|"
    r"staff(?: member)?|member of staff|colleague|associate|someone|somebody)"
)
_BEING = r"(?:real|actual|live|human|living|proper|breathing)"

RULES = (
    Rule(
        "self_harm",
        "may be at risk of self-harm",
        _any(
            r"\bkill(?:ing)? (?:my ?self|me)\b|\bkms\b|suicid|\bend(?:ing)? (?:my|this|it) (?:own )?life\b|\bend it"
            r" all\b",
            r"\b(?:want|going|wanna|rather|ready|better) (?:to )?(?:die|be dead)\b|\bbetter off (?:dead|without me)\b",
            r"\b(?:do ?n[o']?t|do not|not) (?:want|wanna) (?:to )?(?:live|be alive|be here any ?more|wake up|exist)\b",
            r"\bself[ -]?harm|\b(?:harm|hurt|cut)(?:ting|ing)? my ?self\b|\btake my (?:own )?life\b|\boverdos",
            r"\bno (?:reason|point|will) (?:to|in|for) (?:live|living|going on|go on)\b|\bcan'?t go on\b|\bnothing to"
            r" live for\b",
            r"\bbe (?:around|here|alive) (?:for )?(?:much|very|any) long(?:er)?\b|\b(?:won'?t|will not) be (?:around"
            r"|alive) (?:any ?more|soon)\b",
            r"\b(?:think|thinking|thought)\w* (?:of|about) (?:ending|dying)\b|\bgoodbye,? (?:cruel )?(?:world"
            r"|everyone)\b",
            r"\bend (?:things|it)(?: all)? (?:tonight|today|now|soon|here)\b|\b(?:want|wish|need) it all to (?:end"
            r"|stop)\b"
            r"|\b(?:ready|going|want|wish) to end (?:it|things|everything|my)\b",
            r"\bbe(?:en)? better off (?:dead|not (?:being )?(?:here|alive|around|born)|gone)\b|\bwish i (?:was|were)"
            r" (?:dead"
            r"|never born|gone|not (?:here|alive))\b|\b(?:never|not) (?:been|be) born\b",
            r"\b(?:life|living|it all|my life|being alive) (?:is ?n[o']?t|is not|ain'?t|is|feels?|seems?) (?:even "
            r"|just |really"
            r" )?(?:worth (?:it|living|anything|nothing)|pointless|hopeless|over|unbearable|meaningless)\b",
            r"\b(?:do ?n[o']?t|do not|can ?n[o']?t|cannot|no longer) see (?:a|any|the) (?:point|reason|way out|future"
            r"|hope)\b"
            r"|\bcan ?n[o']?t (?:do this|take (?:it|this)|bear (?:it|this)|live like this|live) any ?(?:more|longer)\b",
            r"\bno (?:reason|point|sense) (?:for me )?(?:to|in) (?:keep|carry|go)(?:ing)? (?:going|on|living)\b"
            r"|\b(?:nobody|no one)"
            r" would (?:notice|care|miss me)\b",
            r"\bjump(?:ing)? off (?:a|the) (?:bridge|roof|building)|\b(?:hang|shoot|drown|poison|starve) my ?self\b"
            r"|\bmy"
            r" (?:suicide|last (?:day|night|message|goodbye))\b|\bno longer (?:want|wish) to (?:live|be here|exist)\b"
            r"|\bwant to disappear (?:forever|for good)\b",
            r"\bich (?:will|mochte) (?:nur noch )?(?:sterben|tot sein|nicht mehr)|\bbring\w* mich um\b|lebensmude"
            r"|kein(?:en)?"
            r" (?:sinn|ausweg) mehr",
            r"\bje (?:veux|voudrais|vais) (?:mourir|en finir|me tuer)|me suicider|plus envie de vivre|\bquiero"
            r" (?:morir|morirme"
            r"|matarme)|suicidarme|\bvoglio morire|uccidermi|togliermi la vita|\bquero morrer|\bik wil (?:dood|sterven"
            r"|niet meer leven)|zelfmoord|chce umrzec|死にたい|自殺|想死",
            r"nicht mehr leben|umbringen|selbstmord|suizid|quitarme la vida|matarme|no quiero vivir|en finir avec la"
            r" vie",
            rf"{fold('хочу умереть')}|{fold('покончить с собой')}",
            *ABROAD["self_harm"],
        ),
    ),
    Rule(
        "personal_injury",
        "tells of an injury, a death, or of a product that endangers somebody",
        _any(
            rf"\b(?:gave|give|given|got|get) (?:me|him|her|us|them|my {_RELATION}) (?:\w+ )?(?:\w+ )?(?:shock|burns?"
            rf"|rash|cut)\b"
            r"|\b(?:cut|hurt|burn(?:ed|t)|injured|scalded|stabbed) (?:my|him|her|them|your|our)sel(?:f|ves)\b",
            rf"\b{_RELATION} (?:\w+ )?(?:died|passed away|is dead|is dying)\b|\bbereave|\bfuneral\b",
            r"\b(?:injur(?:y|ed|ies|ing)|wounded|bleed(?:ing|s)?|bled|hospitali[sz]\w+|ambulance|concussion"
            r"|unconscious|paramedics?"
            r"|stitches|poison(?:ed|ing)|electrocut\w*|electric shock|suffocat\w*|chok(?:ed|ing)|swallow(?:ed|s|ing)?"
            r"|emergency room|a ?& ?e\b|casualty|burn victim|carbon monoxide|allergic (?:reaction|shock)"
            r"|anaphyla\w+)\b",
            r"\b(?:hurt|burn(?:ed|t|s)?|scald(?:ed|s)?|cut|broke|fractur\w+|crush(?:ed)?|pinched|sprain\w+|scratched"
            r"|bruis\w+"
            r"|shocked|sliced|gash\w*|sever\w+|lost|got|damaged|singed) (?:\w+ ){0,2}?(?:my|his|her|our|their|the"
            r" child'?s|the"
            r" kid'?s) (?:\w+ )?(?:hands?|fingers?|thumbs?|arms?|legs?|foot|feet|face|eyes?|skin|head|back|knees?"
            r"|toes?|wrists?"
            r"|ankles?|neck|hair|teeth|tooth|lips?|shoulders?|ribs?|ears?|nose)\b",
            rf"\b(?:i|he|she|we|they|somebody|someone|people|kids?|child(?:ren)?|baby|toddler|dog|cat|{_RELATION})"
            rf" (?:\w+ )?(?:was|were"
            r"|is|are|got|gets?|has been|been|almost|nearly) (?:\w+ )?(?:hurt|burn(?:ed|t)|scalded|killed|shocked|cut"
            r"|trapped"
            r"|knocked out|drown\w*|sick from|ill from)\b",
            r"\b(?:caught|catch(?:es|ing)?|set\w*|went|goes|burst\w*) (?:\w+ ){0,2}(?:on )?(?:fire|flames)\b"
            r"|\bexplo(?:de|des|ded|ding|sion)\b"
            r"|\bblew up\b|\bburst into\b|\bburn(?:ed|t|ing)? (?:down|my (?:\w+ )?(?:kitchen|house|home|tent|carpet"
            r"|floor|flat"
            r"|table|garden|car))\b",
            r"\b(?:leak(?:s|ed|ing)?|smell(?:s|ed|ing)? (?:of|like)|escap\w+) (?:\w+ )?(?:gas|fuel|petrol|propane"
            r"|butane)\b"
            r"|\bgas (?:leak|escap|smell|is leaking|came out)\w*|\b(?:smok(?:es|ed|ing)|sparks?|sparking|melt(?:s|ed"
            r"|ing)?|overheat\w*)"
            r" (?:when|while|and|as|after|in my|on my|from)\b|\bproduct safety\b|\bsafety (?:hazard|recall|issue"
            r"|defect)"
            r"|\b(?:is|are|was|were|it'?s) (?:\w+ )?(?:dangerous|a hazard|life-?threatening|a death ?trap|unsafe)\b",
            r"verletzt|verbrannt|krankenhaus|notarzt|verschluckt|explodiert|\bblesse|brulure|hopital|\bherid[oa]"
            r"|quemad",
            r"\b(?:went|go|going|taken|rushed|admitted|ended up|am|is|was|him|her|me) (?:\w+ ){0,2}(?:to|in|into|at)"
            r" (?:the |a )?hospital\b",
            *ABROAD["personal_injury"],
        ),
    ),
    Rule(
        "prompt_injection",
        "tries to instruct the system instead of asking a question",
        _any(
            r"\b(?:ignore|disregard|forget|override|bypass|skip|neglect|overrule|drop)\b.{0,30}\b(?:previous|prior"
            r"|above|earlier|"
            r"preceding|former|system|all (?:of )?(?:your|the)|your|these|those|existing|original|safety)\b.{0,20}"
            r"\b(?:instructions?|prompts?|rules|directives?|guidelines|guardrails|commands?|polic(?:y|ies)|training"
            r"|constraints)\b",
            r"\byou are (?:now|no longer|actually|from now on)\b.{0,40}\b(?:bot|\w*bot|ai|assistant|model|agent"
            r"|admin\w*|dan|system|"
            r"support|unrestricted|free|allowed|authori[sz]ed|in)\b|\bfrom now on,? you\b",
            r"\b(?:system|hidden|initial|secret|internal|original|your) (?:prompt|instructions|message to the model)\b",
            r"\b(?:developer|debug|admin|god|dan|maintenance|sudo|root|unrestricted) mode\b|\bjailbr(?:ea|o)k|\bdo"
            r" anything now\b",
            r"\bpretend(?:ing)? (?:to be|that you|you)\b|(?:^|[.!?:;,] ?|\b(?:you|now|please|must|should|then|and)"
            r" )(?:act|behave|respond|answer|speak|role-?play)"
            r" (?:as if|as though|as an?|like you|like an?)\b",
            r"\b(?:reveal|print|show|repeat|output|leak|dump|tell me|display|list|give me|send me|what (?:is"
            r"|are))\b.{0,30}\b(?:(?:your|hidden|system|internal|initial|"
            r"original|secret|entire|above|admin|root) (?:\w+ )?(?:prompt|instructions|messages?|config\w*|secrets?"
            r"|passwords?|rules)|api keys?|customer (?:list|"
            r"data\w*)|(?:all|every|any|the list of|list of)(?: the| active| valid| current| working| your){0,6}"
            r" (?:discount|voucher|promo|coupon) ?codes)\b",
            r"(?<!operating)(?<!file)(?<!mail)(?:^"
            r"|[\s\"'(\[])(?:system|assistant|developer)(?: (?:message|prompt|note|override|instruction))? ?:(?!//)",
            r"<\|?/?(?:im_start|im_end|system|endoftext|assistant|user|s|inst|prompt|instructions?)\|?>|\[/?inst\]"
            r"|<<sys>>",
            r"#{2,} ?(?:system|instruction|assistant|new)|\b(?:begin|end) (?:system|instructions?|prompt)\b|\bnew"
            r" instructions?\b ?:",
            r"\b(?:reply|respond|answer|output) (?:only|just|exactly|solely) (?:with|by|in)\b|\bas an? (?:ai|language"
            r" model|llm)\b",
            r"\b(?:mark|classify|label|route|set|tag|treat|flag) (?:this|the|my|it|every|all)\b.{0,40}\b(?:as|to)"
            r" \"?(?:auto|resolved|"
            r"approved|safe|paid|solved|trusted|priority|refunded|answered)\b",
            r"\b(?:disregard|ignore|forget|skip) (?:what|everything|anything|all|whatever) (?:that )?(?:\w+ )?(?:came"
            r"|was|is|stands"
            r"|said|written|before|above|you)|\byou (?:must|shall|have to|will now|are to|should) (?:answer|reply"
            r"|respond|say|write"
            r"|confirm|quote|state)\b|\b(?:answer|reply|respond)(?: with| in)? (?:\w+ )?(?:yes|no) only\b"
            r"|\bin the affirmative\b",
            r"\b(?:quote|cite|use) (?:this|the following) (?:source|article|passage|section)\b|\banswer (?:from|by"
            r"|with|using) (?:this|the"
            r" following|my) (?:article|source|passage|text)\b|\b(?:the|your) (?:help ?cent(?:re|er)|policy|faq"
            r"|website) now"
            r" says\b|\bfrom (?:the|your) (?:help ?cent(?:re|er)|knowledge base): ?\"",
            r"\[source:|\bcrm:\w+/|\"(?:article_id|section_id|quote|order_id|customer_id)\"|\border_id ?:"
            r"|</?(?:question|passages?|facts?"
            r"|ticket|context|source|article)>|(?:^|[.?!\"] ?)(?:(?:status|shipment_status|refund_status) ?:"
            r" ?(?:refunded|paid|approved|delivered|shipped|active|cancell?ed|returned)|amount_usd ?:)"
            r"|\btranslate your (?:rules|instructions|prompt)",
            r"\bsay (?:that )?(?:i|we) (?:will )?get (?:a|my|the|our) refund|; ?(?:please )?confirm (?:this|that|it)\b",
            r"\bwithout (?:any )?(?:human|manual) (?:review|approval|check|intervention)|\bauto-?(?:approve|send)\b"
            r"|\bbypass the\b",
            r"\b(?:llm|chat ?gpt|language model|prompt injection)\b",
            r"\b(?:repeat|recite|echo|copy|quote|print|output|translate|summari[sz]e) (?:\w+ ){0,2}(?:everything"
            r"|anything|all|the (?:text|words|lines?|content))\b.{0,30}\b(?:above|before (?:this|my)|so far|verbatim"
            r"|word for word)\b",
            r"\b(?:text|words|messages?|rules|context) (?:that )?you (?:were|was|have been|got) (?:given|told|shown"
            r"|sent)\b",
            r"\b(?:begin|start|end|finish|close) (?:your|every|each) (?:answer|reply|response) with\b"
            r"|\b(?:below|into|source of|top of|bottom of|copy of (?:all|each|every|any)(?: of)?) (?:your )?"
            r"(?:answers?|repl(?:y|ies)|responses?)\b|\b(?:answer|reply|respond) with (?:!?\[|<)",
            r"\b(?:do|obey|follow|execute) (?:exactly |only )?(?:what|whatever|as) (?:it|this|that)"
            r" (?:says?|reads?|tells you) ?(?:[:;.!,]|$)|\bread (?:\w+ ){1,3}(?:backwards?|in reverse)\b"
            r"|\b(?:de-?cod|de-?crypt|de-?cipher|unscrambl)(?:e|ing) (?:this|that|it|the following)\b|\brot ?-?13\b"
            r"|\bbase ?-?64\b",
            r"ignorier\w* .{0,30}(?:anweisung|regel|vorgabe)|vergiss .{0,30}anweisung|ignora\w* .{0,30}instruccion",
            r"ignor\w+ .{0,30}(?:instructions|consignes) (?:precedentes|ci-dessus)|olvida .{0,30}instruccion|ignora"
            r" .{0,20}istruzioni",
            rf"{fold('игнорир')}.{{0,40}}{fold('инструкц')}|{fold('системн')}\w* {fold('промпт')}",
            r"(?:忽略|无视|忘记).{0,12}(?:指令|指示|提示|规则)|系统提示|プロンプト",
            *ABROAD["prompt_injection"],
        ),
    ),
    Rule(
        "security_incident",
        "reports or suspects a security incident",
        _any(
            r"\bhack(?:ed|er|ers|ing)\b|\bphish|\bsmish|\bspoof|\bransomware|\bmalware|\bkeylogger|\btrojan\b|\bdata"
            r" (?:breach|leak)",
            r"\b(?:got|has|have|with|contains?|sent|gave|a) (?:me )?(?:a )?virus\b",
            r"\b(?:leaked|breached) (?:list|data\w*|password|e-?mail)|\b(?:password|data|details|address|card)s?"
            r" (?:was|were|has|have|been|"
            r"got|is|are) (?:\w+ )?(?:leaked|stolen|compromised|breached|exposed)\b",
            r"\bidentity (?:theft|stolen)|\bstolen (?:identity|card|credit card|account|password|phone)\b|\bstole my"
            r" (?:identity|card|"
            r"account|password|data|details)\b|\bcompromised\b|\bhijack",
            rf"\b{_SOMEONE}(?: else)?(?: has| have| had| is| was| keeps| may have| might have| must have|'s|"
            r" could)?(?: been| got| gotten)?"
            r" (?:logg\w+|log in\w*|sign(?:ed|ing)? in\w*|access\w*|using|used|got in\w*|get in\w*|getting in\w*"
            r"|gained|broke\w* in\w*|"
            r"changed|enter\w*|tried to (?:log|sign|access|get|change|reset)|trying to (?:log|sign|access|get|change"
            r"|reset)"
            r"|(?:in|into|inside) (?:my|our) (?:\w+ )?(?:account|profile|mail)|order(?:ed|ing)? (?:\w+ ){0,4}(?:my"
            r"|our) (?:account|name|card))\b",
            rf"\b{_SOMEONE}(?: else)? (?:has|knows|have|know|stole|guessed) {_MY} (?:password|account|login|card"
            r"|details|data)\b",
            r"\b(?:broken|broke|break|got|gotten|breaking|logged|signed) in(?:to|side)? (?:my|our) account\b(?!"
            r" (?:again|and))",
            r"\baccount (?:\w+ ){0,3}(?:broken into|taken over|hacked|misused|abused|stolen)|\baccount take-?over",
            r"\bun-?authori[sz]ed (?:\w+ )?(?:access|login|log-?in|sign-?in|purchase|order|charge|payment|transaction"
            r"|use|change)",
            r"\b(?:did ?n[o']?t|did not|have ?n[o']?t|have not|never|not) (?:\w+ )?(?:place|make|made|authori[sz]e"
            r"|request|recogni[sz]e|do|start|"
            r"ask for|initiate|enter)\w* (?:this|that|these|those|the|any|a|an|it|some)? ?(?:\w+ )?(?:order|purchase"
            r"|transaction|login|"
            r"log-?in|sign-?in|device|(?:password )?reset|(?:password|address|e-?mail) change|payment|charge)s?\b",
            r"\b(?:order|purchase|login|sign-?in|device|payment|charge|address|reset)s? (?:which |that )?(?:i|we)"
            r" (?:did ?n[o']?t|did not|"
            r"have ?n[o']?t|have not|never|do ?n[o']?t|do not) (?:\w+ )?(?:place|made|make|recogni[sz]e|request"
            r"|authori[sz]e|enter|know|ask)",
            r"\b(?:sign|log)-?(?: ?)ins? from (?:a |an |another |some |other )?(?:\w+ )?(?:country|countries|device"
            r"|place|city|location|state)",
            r"\b(?:suspicious|strange|unknown|weird|unusual|fake|fraudulent|dodgy) (?:\w+ )?(?:log-?ins?|sign-?ins?"
            r"|activity|e-?mails?|mails?|"
            r"links?|messages?|texts?|sms|web ?sites?|sites?|pages?|shops?|devices?|address|transactions?|charges?"
            r"|calls?)\b",
            r"\b(?:typed|entered|gave|put|filled|sent|given|shared) (?:\w+ ){0,4}(?:password|card (?:number|details)"
            r"|pin)\b.{0,60}\b(?:fake|"
            r"scam|link|wrong|looked|them|not yours)|\bclicked (?:on )?(?:a|the|that|this) link\b.{0,80}\b(?:mail"
            r"|password|card)",
            r"\bfraud|\bscam(?!p)|\bimpersonat|\bvulnerabilit|\bsecurity (?:incident|breach|hole|flaw|problem|issue"
            r"|bug|report|leak|alert)",
            r"\bexploit|\bxss\b|\bsql injection|\bbug bounty|\bresponsible disclosure|\bzero[- ]day|\bpenetration test",
            r"\b(?:i|we|it|pages?|app|site|list|account|which|that)(?: can| could| now| just| suddenly| also| keep|"
            r" am| is| are){0,6}"
            r" (?:see|seeing|saw|sees|shows?|showing|shown|viewing|view|find) (?:me )?(?:\w+ ){0,5}(?:stranger"
            r"|strangers|other people|"
            r"someone else|somebody else|other customers?|another customer)\b",
            r"\b(?:card|details|identity|password|sim)s?\b (?:\w+ ){0,3}(?:cloned|skimmed|nicked|copied"
            r"|lifted|swiped|pinched|misused|abused)\b|\bcloned? (?:card|my card)|\bcard cloning|\b(?:nicked|pinched"
            r"|cloned"
            r"|skimmed) my\b",
            rf"\b(?:{_SOMEONE}|people|they|he|she)(?: else)? (?:\w+ )?(?:is |are |has been |have been |keeps? |was "
            rf"|were )?(?:buying"
            r"|shopping|ordering|paying|spending|bought|ordered|paid|spent|got|getting)\b(?: \w+){0,3} (?:with|on"
            r"|using|in|into|to"
            r"|through) (?:my|our) (?:\w+ )?(?:card|account|money|name|paypal|profile)\b",
            r"\b(?:another|other|a different|someone else'?s|somebody else'?s|a stranger'?s|strange|wrong) (?:\w+"
            r" )?(?:name|person"
            r"|address|orders?|e-?mail)\b.{0,20}\b(?:in|on|under) my (?:account|profile|page)\b",
            r"\bchanged (?:my|the) (?:password|e-?mail|address|phone)\b.{0,30}\b(?:did ?n[o']?t|did not|was ?n[o']?t"
            r" me|not me"
            r"|never did)\b|\b(?:was ?n[o']?t|was not|not) me who\b|\b(?:orders?|purchases?) (?:\w+ ){0,3}never (?:made"
            r"|placed)\b",
            r"gehackt|betrug|\bfremder? zugriff|identitatsdiebstahl|hackeado|estafa|fraude|suplantacion|pirate\w*"
            r" (?:mon|votre) compte",
            r"\b(?:orders?|purchases?|charges?|payments?|transactions?) (?:that |which )?(?:i|we) (?:know nothing|do"
            r" ?n[o']?t know"
            r"|never heard|have no idea|am unaware)\b",
            *ABROAD["security_incident"],
        ),
    ),
    Rule(
        "legal_threat",
        "mentions lawyers, courts, regulators or a legal claim",
        _any(
            r"\b(?:lawyer|attorney|solicitor|barrister|paralegal|law firm|legal (?:counsel|team|representative"
            r"|advis[oe]r|department|aid))",
            r"\b(?:will|gonna|going to|have to|need to|want to|ready to|prepared to|threat\w* to|right to|happy to"
            r"|'ll|'d|shall|might|may|"
            r"could|can|should|must|i|we) (?:\w+ )?sue\b|\bsu(?:e|ed|ing) (?:you|u|them|your|the company|over|for"
            r"|wrenfield)\b|\bsuing\b",
            r"\blaw ?suit|\blegal (?:action|proceeding|step|claim|notice|recourse|consequence|dispute|matter|remed"
            r"|case|process|route)",
            r"\b(?:take|taking|see|drag|go|going|bring) (?:\w+ ){0,3}(?:to|in|into) court\b|\bin court\b|\bcourt"
            r" (?:order|date|case|claim|"
            r"action|summons)|\b(?:small|money) claims?\b|\bclaims court|\blitigat|\bclass[- ]action|\bsubp(?:o|oe)na"
            r"|\bsummons\b",
            r"\bcease and desist|\bcease (?:selling|using|and)\b|\binfring|\btrade ?mark|\bcopyright|\bpatent\b"
            r"|\bdmca\b|\bdefam",
            r"\bbreach of (?:contract|warranty|law)|\bletter before (?:action|claim)|\bproceedings (?:will|may|are"
            r"|shall)\b|\bliability\b|"
            r"\bliable\b|\bnegligen",
            r"\bconsumer (?:protection|rights?|affairs|council|advice|association|agency|forum|court|law|ombudsman)"
            r"|\btrading standards",
            r"\bombuds|\bbetter business|\bbbb\b|\battorney general|\bftc\b|\bfederal trade|\bcfpb\b|\bregulators?\b"
            r"|\bwatchdog\b",
            r"\b(?:report|reported|reporting) (?:you|u|this|your|them|it|wrenfield)\b.{0,40}\b(?:to|with) (?:the"
            r" )?(?:authorit|police|"
            r"government|office|bureau|agency|commission|council|fca|asa|press|media|newspaper)|\bpolice (?:report"
            r"|complaint)|\bthe police\b",
            r"\bprosecut|\bpress(?:ing)? charges\b|\b(?:your|my|our|legal|outside|in-house) counsel\b|\bcpsc\b"
            r"|\bfca\b|\basa\b"
            r"|\bofcom\b|\bserious fraud\b|\blawyer(?:ing)? up\b|\b(?:a|the) judge\b|\bmagistrate|\barbitrat"
            r"|\bmediat(?:or|ion)\b",
            r"\b(?:further|up|pursu\w+|this|it|act|proceed) legally\b|\blegal (?:people|insur\w+|expens\w+|protection"
            r"|help"
            r"|firm|threat|papers?|letter|counsel|rights?|obligation|responsib\w+)\b|\billegal|\bunlawful|\bagainst"
            r" the law\b"
            r"|\bcriminal\b|\bbroke(?:n)? the law\b|\bfil(?:e|ed|ing) (?:a |an )?(?:\w+ )?(?:claim|complaint|suit"
            r"|case|charges)"
            r" (?:against|with)\b",
            r"\b(?:the|to|with|relevant|proper) authorit(?:y|ies)\b|\bsmall[- ]claims?\b|\b(?:go|going|talk|talking"
            r"|speak"
            r"|write|turn|take (?:this|it)) to (?:the )?(?:press|media|papers?|newspapers?|police|tv|journalists?"
            r"|news)\b"
            r"|\bconsumer (?:product safety|reports?)\b",
            r"rechtsbeistand|rechtsschutz|vor gericht|\bjustice\b.{0,10}\bsaisir|saisir .{0,15}(?:justice|tribunal)"
            r"|en justice|\brechter\b|advocaat|naar de politie|carabinieri|\bdenuncio|in tribunale|querela|advogad"
            r"|\bprawnik|\bsad(?:u|zie)\b|\badwokat|弁護士|訴え|律师|起诉",
            r"rechtsanwalt|\banwalt|\banwaltin|rechtliche\w* schritt|verklag|\bklage\b|verbraucherzentrale"
            r"|\bgericht\b|strafanzeige",
            r"\babogad|acciones legales|\bdemandar|denunci|tribunal|hoja de reclamacion|\bavocat\b"
            r"|porter plainte|\bavvocato\b",
            rf"{fold('в суд')}|{fold('адвокат')}|{fold('юрист')}",
            *ABROAD["legal_threat"],
        ),
    ),
    Rule(
        "privacy_request",
        "asks for, or to erase, personal data",
        _any(
            r"\bgdpr\b|\bdsgvo\b|\brgpd\b|\bccpa\b|\bcpra\b|\bhipaa\b|\bpipeda\b|\bdata protection|\bsubject access"
            r"|\bdsar\b|\bdata subject",
            r"\bright (?:to be forgotten|to erasure|of access|to access)|\b(?:article|art\.?) ?(?:15|16|17|18|20|21)\b",
            r"\b(?:delete|erase|remove|wipe|forget|destroy|purge|scrub|get rid of) (?:all |any |every |of |the |every"
            r" ?thing |my |our |"
            r"personal |private |customer |about |you |have |stored ){0,6}(?:data|information|info|records?|personal"
            r" details|traces?|history)\b",
            r"\b(?:delete|erase|remove|wipe) (?:\w+[ ,]+){0,10}(?:everything|anything|all) (?:else )?(?:\w+ )?(?:you"
            r"|u) (?:have|hold|know|keep|store|got)",
            r"\b(?:delete|erase|remove|forget) (?:me|myself) (?:from|off)\b|\bforget (?:about )?me\b",
            r"\b(?:copy|export|download|extract|disclosure|overview|list) of (?:all |any |the |every |everything |my "
            r"|our |your |stored ){0,6}(?:personal "
            r"|private |customer )?(?:data|information|info)\b",
            r"\b(?:all|what|which|whatever|any|every|everything|show me|send me|give me|see)(?: of)?(?: the| my)?(?:"
            r" personal| kind of| sort of)? ?"
            r"(?:data|information|info|details)? ?(?:that |which )?(?:do |did )?(?:you|u|wrenfield|your company)"
            r" (?:guys )?(?:have |had |'ve )?"
            r"(?:have|hold|store|keep|got|collect|collected|stored|kept|know|gathered|saved)\b(?: \w+){0,2} (?:about"
            r"|on|of) (?:me|us|my)\b",
            r"\b(?:data|information|info|details) (?:that |which )?(?:you|u) (?:have |are |'ve )?(?:have|hold|store"
            r"|keep|holding|storing|collected|"
            r"stored|collect)\b|\b(?:hold|stored?|store|keep) (?:on|about) me\b",
            r"\b(?:data|privacy|gdpr|personal data|information) (?:deletion|erasure|access|removal|portability"
            r"|request|complaint|officer)",
            r"\b(?:sell|sold|shar(?:e|ed|ing)|selling|pass(?:ed|ing)?|gave|given|leak(?:ed|ing)?) (?:on )?(?:of |out"
            r" )?(?:my|our) (?:\w+ )?(?:data|info|"
            r"information|details|e-?mail|address|number)\b|\bwho (?:got|has|have|did you give) my (?:\w+ )?(?:data"
            r"|address|e-?mail|details|number)",
            r"\bdo not sell\b|\b(?:withdraw|revoke)\w* (?:my )?consent|\bprivacy (?:violation|breach|team"
            r"|commissioner|authority|request)",
            r"\bauskunft\b.{0,30}(?:daten|dsgvo|art)|(?:personenbezogene|meine|gespeicherte)\w* daten|daten\w*"
            r" loschen|datos personales",
            r"(?:borr|elimin|suprim)\w* .{0,20}datos|donnees personnelles|supprim\w* .{0,20}donnees",
            *ABROAD["privacy_request"],
        ),
    ),
    Rule(
        "account_closure",
        "wants an account closed or deleted",
        _any(
            r"\b(?:clos(?:e|ing)|delet(?:e|ing)|deactivat(?:e|ing)|terminat(?:e|ing)|remov(?:e|ing)|cancel(?:l?ing)?"
            r"|shut(?:ting)?(?: down)?|"
            r"eras(?:e|ing)|disabl(?:e|ing)|get(?:ting)? rid of|wip(?:e|ing)|unregister|discontinu(?:e|ing)|kill|nuke"
            r"|axe) (?:down )?"
            rf"{_MY} (?:(?!from|in|on|to|of|off|at|with|for|and|or)\w+ ){{0,2}}(?:account|profile)s?\b(?! ?'s)",
            r"\b(?:close|delete|deactivate|terminate|cancel|erase|remove) (?:down )?(?:customer |user |online"
            r" )?account\b|\bshut down .{0,12}account",
            r"\baccount (?:closure|deletion|removal|termination|cancell?ation|erasure|deactivation)|\bclosure of"
            r" (?:my|our|the) (?:\w+ )?account",
            r"\b(?:my|our|this|the|customer) (?:\w+ )?(?:account|profile|membership) (?:\w+ ){0,3}(?:closed|deleted"
            r"|removed|deactivated|terminated|"
            r"erased|shut down|cancell?ed|gone)\b|\bunsubscribe me from everything|\bremove me from (?:everything"
            r"|your (?:system|database))",
            r"\b(?:account|profile)\b[^.?!]{0,30}[.?!,;] ?(?:i (?:want|need|would like) (?:it|this) (?:closed|deleted"
            r"|gone|removed))",
            r"\b(?:purg(?:e|ing)|drop(?:ping)?|end(?:ing)?|bin(?:ning)?|scrap(?:ping)?|abolish|dissolv(?:e|ing)"
            r"|tak(?:e|ing) down"
            r"|deregister|nix|trash|zap|ditch|quit|clsoe|colse|delet|deleet|deactvate|de-?activat\w*"
            r"|delte)"
            r" (?:down )?(?:my|our|the|this|mine)(?: \w+)? (?:ac+ou?nts?|profile|login|user(?:name)?|registration)\b",
            r"\b(?:remove|erase|delete|drop|purge|terminate|end|close|cancel|stop) (?:my|our) (?:login|user(?:name)?"
            r"|registration"
            r"|customer (?:record|relationship|status))\b|\b(?:clos|delet|remov|cancel|eras|terminat|deactivat|purg"
            r"|end|stop)\w* (?:my|our) ac+ou?nts?\b|\bstop my membership for good\b",
            r"\btake (?:my|our|the) (?:account|profile) (?:down|off|offline)\b|\b(?:my|our) (?:account|profile)"
            r" (?:disappear|vanish|wiped|purged|scrapped|ended)\b|\baccount:? (?:delete|close|remove|purge|end)\b",
            r"\b(?:do ?n[o']?t|do not|no longer|not) (?:want|need|wish|like|have)\b(?: to)?(?: have| keep| hold)?"
            r" (?:an? |my |the"
            r" |this )?(?:account|profile|login)\b.{0,20}\b(?:any ?(?:more|longer)|with you)\b|\bno longer (?:want"
            r"|need|wish"
            r" to (?:have|keep)) (?:an? |my |the )?account\b",
            r"\b(?:no longer|not|stop|quit) (?:wish to be|want to be|being|be|like to be) (?:a |your )?customers?\b"
            r"|\bout of being"
            r" (?:a |your )?customer\b|\boff your (?:books|system|files|records|customer (?:list|base))\b"
            r"|\b(?:removed?|erased?"
            r"|deleted?|taken?) (?:me )?(?:from|off|out of) your (?:customer |data)?(?:base|list|system|files|records"
            r"|books)\b",
            r"\bterminate (?:our|my|this) (?:relationship|contract|business)\b"
            r"|\b(?:i|we|i'?m|i'?ll|we'?ll|to|and) (?:\w+ ){0,2}(?:leav(?:e|ing)|quit) (?:wrenfield|you|your (?:shop"
            r"|company|site))(?: for good| forever|$|[?.!])|\bi want out\b|(?:^|[.!?] ?)delete everything\b"
            r"|\b(?:erase|delete|remove) my"
            r" user\b",
            r"sluit .{0,12}account|account .{0,12}(?:sluiten|verwijderen)|verwijder .{0,12}account|chiud\w+"
            r" .{0,16}(?:account"
            r"|conto)|cancellare .{0,12}account|(?:encerrar|excluir|apagar|fechar) .{0,10}conta|(?:usun|zamkn\w+"
            r"|skasuj) .{0,8}"
            r"konto|アカウント.{0,6}(?:削除|解約|閉鎖)|(?:删除|注销|註銷).{0,6}(?:账户|账号|帐号|帳號)",
            r"\b(?:kunden)?konto\b.{0,40}(?:losch|schliess|kundig|auflos)|(?:losch|schliess|kundig)\w* .{0,40}konto\b",
            r"(?:c(?:err|ierr)\w*|elimin\w*|borr\w*|cancel\w*|d(?:ar|en?) de baja) .{0,12}cuenta"
            r"|(?:supprim|ferm|clotur)\w* .{0,12}compte",
            rf"{fold('удал')}\w* .{{0,12}}{fold('аккаунт')}|{fold('закр')}\w* .{{0,12}}{fold('аккаунт')}",
            *ABROAD["account_closure"],
        ),
    ),
    Rule(
        "chargeback",
        "disputes a payment or speaks of a chargeback",
        _any(
            r"\bcharge ?-?backs?\b|\bcharged? it back\b|\bcharg(?:e|ing) ?back\b"
            r"|\bcharg(?:e|ed|es|ing) (?:it|this|that|the|my|a) (?:\w+ )?back\b",
            r"\b(?:disput|contest|revers|challeng)(?:e|ed|es|ing|al)\b(?: of| over| with| against)? ?(?:\w+"
            r" ){0,4}(?:charges?|payments?|transactions?|"
            r"purchases?|debits?|orders?|bank|card|amount|paypal|visa|mastercard|amex)\b|\bdisput(?:ing|ed) (?:it"
            r"|this|that)\b",
            r"\b(?:charges?|payments?|transactions?|debits?) (?:\w+ ){0,3}(?:disputed|reversed|contested|under"
            r" dispute|in dispute)\b",
            r"\b(?:card|payment|paypal|bank|credit card|billing|visa|amex|klarna) (?:dispute|claim|case"
            r"|complaint)s?\b|\bdispute (?:filed|opened|"
            r"resolution|case|id)|\b(?:file|filed|filing|open|opened|opening|raise|raised|start|started|withdraw)(?:"
            r" a| the| my)? dispute",
            r"\b(?:my |our |the )?(?:bank|credit card|card company|card issuer|card provider|paypal|amex|visa"
            r"|mastercard)\b.{0,30}\b(?:will|to|going to|"
            r"can|would|could|about to|before it|has|have)\b.{0,20}\b(?:revers|claw|pull|take (?:it|the money|my"
            r" money)|refund (?:me|it|the)|recover|get (?:it|my "
            r"money)|charge it|dispute|block the)",
            r"\bsection 75\b|\bbuyer protection\b|\ba-?to-?z (?:claim|guarantee)|\bstop(?:ped)? (?:the |my"
            r" )?(?:payment|cheque|check) (?:with|at|through)",
            r"\b(?:do ?n[o']?t|do not|did ?n[o']?t|did not|can ?n[o']?t|cannot) recogni[sz]e (?:\S+ ){0,4}(?:charge"
            r"|payment|debit|on my (?:\w+ )?(?:card|"
            r"statement|bill|account))|\bunrecogni[sz]ed (?:charge|payment|transaction)",
            r"\b(?:bank|card (?:provider|company|issuer)|issuer|paypal|visa|mastercard|amex"
            r"|klarna)\b.{0,30}\b(?:investigat"
            r"|reverse|claim\w* (?:it )?back|get(?:ting)? (?:the|my|it) (?:money )?back|recall|undo|take (?:the|my)"
            r" money)",
            r"\b(?:rais|tak|escalat|report|pursu|bring|complain|disput)(?:e|es|ing|ed) (?:this |that |it |the \w+ |up"
            r" ){0,3}(?:with|to"
            r"|at|through) (?:my|the|our) (?:bank|card|credit|issuer|paypal|visa|amex|mastercard)\b",
            r"\b(?:undo|reverse|cancel|void|revoke) (?:the|this|that|my) (?:[\d.,$€£]+ )?(?:charges?|payments?|debits?"
            r"|transactions?)\b|\bcharge ?less\b|\bundo it\b",
            r"ruckbuchung|ruckbelast|ruckbuchen|lastschrift .{0,20}(?:zuruck|widersp)|contracargo|retrofactur"
            r"|retrocession",
            *ABROAD["chargeback"],
        ),
    ),
    Rule(
        "other_customer",
        "asks for another person's order or data",
        _any(
            r"\b(?:some ?(?:one|body) else|another (?:customer|person|user|client|buyer)|other (?:customer|people"
            r"|user|client|buyer)s?)'?s?'? (?:\w+ ){0,2}"
            rf"(?:{_OWNED}|{_WHERE}|accounts?|data|details|information|info)\b",
            rf"\b(?:my|our|his|her|their)(?: \w+)? {_RELATION}(?:'s|s'|s)? (?:[a-z]+ ){{0,4}}?{_OWNED}\b(?!"
            r" confirmation)",
            rf"\b(?:a|an|some|the) {_RELATION} of (?:mine|ours)\b.{{0,80}}\b{_OWNED}\b",
            r"\b(?:need|what is|what'?s|tell|give|know|find|share|get)\b(?: \w+){0,3} (?:my|our|his|her|their)"
            rf" {_RELATION}(?:'s|s'|s)? (?:[a-z]+ )?{_WHERE}\b",
            rf"\b(?:{_OWNED}|{_WHERE}|placed|made|bought|ordered) (?:of|by|placed by|belonging to|under) (?:my|our|a"
            rf"|an|the|his|her|another|your) (?:\w+ )?(?:{_RELATION}|customer|person|user|"
            r"client|buyer|lady|man|woman|guy|girl)\b",
            r"\b(?:log ?(?:in|on)|access|get in|sign in|look|see|check)\w*(?: \w+){0,3} (?:my|our|his|her|their|a)"
            rf" {_RELATION}(?:'s|s'|s)? (?:\w+ )?account",
            r"\b(?:address|phone(?: number)?|e-?mail(?: address)?|orders?|purchases?|order history|name|details)"
            r" (?:of|for|from|by) (?:mr|mrs|ms|miss|dr|"
            r"customer|client|buyer|user)\b",
            r"\bwhat (?:she|he|they) (?:bought|ordered|purchased|paid|got|spent)\b|\b(?:where|what|when|did|does|has)"
            r" (?:did |does |has |do )?(?:she|he)"
            r" (?:order|buy|live|ship|purchase|spend)\w*",
            rf"\bon behalf of (?:my|our|a|an|the|another|some ?one|mr|mrs|ms)\b|\b(?:my|our)(?: \w+)? {_RELATION}"
            r" (?:\w+ ){0,3}(?:ordered|bought|placed an order|"
            r"asked me to)\b|\b(?:other|your) customers' (?:data|orders|names|addresses)",
            r"\b(?:list|names|e-?mails|addresses|database) of (?:all |your |the |other ){1,4}(?:customers|clients"
            r"|users"
            r"|buyers)|\bcustomer (?:list|database|records)\b",
            r"\bcustomers? ?(?:cus[_-]?\d+|(?:no\.?|number|id|#) ?\d+)|\bcus[_-]\d{2,}\b",
            rf"\b(?:it'?s|it is|that'?s|this is|order is|one is) (?:my|our|his|her|their)(?: \w+)? (?:{_RELATION}"
            rf"|mate|pal|buddy)'?s(?: one| order| parcel)?(?: actually)?(?:$|[.!,;?])",
            rf"\bmy (?:{_RELATION}|mate|pal|buddy)(?:'s|s'|s)? (?:\w+ ){{0,3}}(?:order|parcel|package|refund|delivery"
            rf"|[a-z]\d{{3,}})",
            r"\b(?:orders?|parcels?|packages?|refunds?|deliver(?:y|ies)|purchases?) (?:of|for|by|from) (?:mr|mrs|ms"
            r"|miss|dr"
            r"|john|jane)\b|\b(?:status|state|whereabouts|tracking|address|date) of (?:her|his|their) (?:order|parcel"
            r"|package"
            r"|refund|delivery)|\b(?:her|his) (?:order|parcel|package|refund)\b",
            rf"\b(?:asking|writing|calling|enquiring|inquiring|checking) (?:for|on behalf of) (?:mr|mrs|ms|miss|dr|my"
            rf" {_RELATION})\b",
            r"\bi work for (?:mr|mrs|ms|miss|dr|cus)|\b(?:tell|give|show|read|what'?s|what is)\b.{0,20}\baddress"
            r" (?:on|of|in) (?:order )?[a-z]\d{3,}\b",
            r"\bwho (?:bought|ordered|purchased|placed|lives|sent me)\b",
            *ABROAD["other_customer"],
        ),
    ),
    Rule(
        "person_demanded",
        "wants to speak to a person",
        _any(
            r"\b(?:speak|talk|chat|connect|transfer|put|get|pass|forward|escalat|hand|switch|refer|route)(?:ed|ing|s"
            r"|ting|red|ring|e)?\b(?: \w+){0,2}? "
            r"(?:to|with|for|me|through|on|in touch with|hold of) (?:a |an |the |your |some |any |another |one of"
            rf" your |my )?(?:{_BEING} |senior |customer |"
            rf"service |support |duty |shift ){{0,6}}{_PERSON}\b(?! (?:else'?s|i know))",
            r"\b(?:want|need|demand|insist|prefer|request|require|give|get|is there|are there|any|send|let|have|with"
            r"|by|from)\b(?: (?:me|us|on|for|that|to|"
            rf"have|see|having)){{0,6}}(?: an?| the| some| any)? (?:{_BEING} ){{1,4}}(?:{_PERSON}|answer|reply"
            r"|response|support"
            r"|help|contact|people|customer service)\b",
            r"\b(?:a|any|some|no|the|need|want|get) humans?\b(?! (?:hair|size|body|sized|error|being'?s|resources"
            r"|rights))|\bhumans? (?:agent|being|support|please|"
            r"now|only|help|assistance|operator|contact|in this company)\b|^human\b",
            r"\b(?:real|actual|live|living) (?:person|human|agent|people|representative|operator)\b",
            r"\bno (?:more )?(?:bots?|robots?|machines?|ai|chat ?bots?|automat\w+|computers?|canned|templates?)\b"
            r"|\bnot (?:an? |some |another |your |the |with an? |to an? )"
            r"(?:ro|chat ?)?(?:bot|machine|computer|algorithm)\b|\b(?:stop|don'?t want|do not want|sick of|tired of"
            r"|enough of|fed up with)\b.{0,30}\b(?:bots?|"
            r"automated|robots?|canned|machines?)\b|\b(?:another|more|these|your|just|only) (?:automated|canned"
            r"|automatic) (?:repl|response|answer|message|mail)",
            r"\b(?:insist|demand|want|request|require|expect)\w* (?:that )?(?:an? |some|the |your )?(?:employee"
            r"|manager|supervisor|person|one|body|agent|human)\w*\b"
            r"(?: to)? (?:call|phone|ring|contact|speak|talk|get)",
            r"\b(?:call|phone|ring) me\b(?! (?:crazy|old|picky))|\bcall[ -]back\b|\bgive me a (?:call|ring)\b"
            r"|\bplease (?:call|phone|ring)\b",
            r"\b(?:want|need|demand|get me|give me) (?:to see |to have |an? |the |your ){1,4}(?:manager|supervisor"
            r"|human"
            r"|agent|representative|operator)\b",
            r"\b(?:want|need|get|give|prefer|let) (?:me )?(?:to (?:have|see|get) )?(?:a|an|some|one) (?:person|people"
            r"|someone real"
            r"|somebody real|agent|representative)\b(?! (?:who|tall|of|to sign))|\bsomeone real\b|\bsomebody real\b"
            r"|\ba real"
            r" one\b|\b(?:are|r) (?:you|u) (?:a |an |even )?(?:\w+ )?(?:bot|robot|machine|ai|human|real|computer|chat"
            r" ?bot"
            r"|person)\b|\bis (?:this|that) (?:a |an )?(?:\w+ )?(?:bot|robot|machine|ai|human|chat ?bot)\b",
            r"\b(?:is|are) (?:there )?any ?(?:one|body) (?:there|here|alive|home|reading|real)\b|\b(?:reply|answer"
            r"|respond|write)"
            r" (?:to me )?(?:personally|in person|yourself|like a human)\b|\bpersonal(?:ly)? (?:reply|answer"
            r"|response)\b",
            r"\b(?:speak|talk|chat) (?:to|with) [a-z]+ (?:from|in|at|of) (?:the )?(?:support|service|your|customer)\b"
            r"|\b(?:chat|talk|speak) (?:to|with) (?:\w+ ){0,2}(?:staff|support|service)\b|\b(?:stop|no more|quit"
            r"|enough)"
            r"(?: \w+){0,3} (?:automat(?:ic|ed) (?:answer|repl|respon|mess|mail|e-mail)\w*|auto-?repl\w+|canned|bots?"
            r"|robot\w*)\b",
            r"echte\w* (?:mensch|person|mitarbeiter)|mitarbeiter\w* (?:sprechen|reden)|persona real|hablar con"
            r" (?:una?|alguien)|\bun humano\b|un etre humain|vraie personne",
            *ABROAD["person_demanded"],
        ),
    ),
)

MONEY_BACK = _any(
    r"\brefund|\bre-?fun+d|\bre-?imburs|\bcompensat|\b(?:money|cash|payment|everything|price|sum|amount|cost|lot|half"
    r"|rest|it all) ?back\b|\bback my money\b",
    r"\b(?:give|gimme|get|want|need|have|like|claim|pay|send|transfer|put|expect|demand|see|return|take"
    r"|credit)\w*\b[^.!?]{0,60}\bback\b|\bback\b[^.!?]{0,20}"
    r"\b(?:money|refund|usd|dollars?|eur\w*)|\bclaim|\breturn(?!ing customer)|\bsend\w* (?:\w+ ){1,4}back\b",
    r"\bcredit(?:ed)? (?:me|my|back|to my|note)\b|\bowed? me\b|\bowe[sd]? (?:me|us)\b|\bover-?charg|\b(?:double"
    r"|twice)\b.{0,20}\bcharg|\bcharg\w*\b.{0,30}\b(?:twice|double|"
    r"wrong\w*|too much|again|extra)|\bdisput|\brecogni[sz]e\b|\bdamages\b|\bpay (?:me|us|for (?:my|the|our))\b"
    r"|\bmake (?:this|it|me) (?:right|whole|good)\b",
    r"\bprice (?:adjust|match|difference|drop)|\bthe difference\b|\brip(?:ped)?[- ]?off\b|\bwant my\b|\bmy money\b"
    r"|\bsettle",
    r"\bow(?:ed|e|ing)\b|\bout of pocket\b|\b(?:to|on(?:to)?) my (?:card|account|bank)\b|\bbetter off\b|\bmake good\b"
    r"|\bundo\b|\bre ?f[un]{2,3}d|\brefnd|\bgimme\b|\bput (?:it|this|that) right\b|\bmon[ey]{1,2} bac?k",
    rf"indietro|\bterug\b|de volta|devuel|{fold('верн')}|返金|退款|払い戻",
    r"erstatt|ruckzahl|\bzuruck|entschadig|gutschrift|reembols|devoluc|devolv|\brembours|\brimbors|terugbetal|indemn",
)

# -- what only limits a ticket to a draft for a person

_DO = (
    r"(?:cancel|call off|stop|end|change|update|switch|move|exchange|swap|replace|refund|credit|apply|add|remove|merge"
    r"|pause|resume|re-?activate|activate|unpause|wake|skip|hold|re-?send|send|ship|re-?ship|"
    r"redirect|re-?route|deliver|post|extend|make|raise|lower|increase|set|put|turn|reset|unlock|unblock|take|book"
    r"|charge|register|correct|fix|arrange|honou?r|waive|re-?issue|issue|forward|return|"
    r"collect|pick|renew|restart|start|transfer|combine|split|mark|delete|enter|place|order|process|re-?open|open"
    r"|approve|grant|leave|note|reserve|keep|match|adjust|reduce|top|upgrade|downgrade|"
    r"postpone|delay|bring|do|sort|undo|reverse|rectify|amend|edit|modify|include|exclude|withdraw|block|release"
    r"|settle|pay|price|gift|wrap|enable|disable|link|unlink)"
)
_TELL = (  # the same verbs where only words are asked for
    r"(?!send me (?:the |a |an )?(?:link|info|detail|number|steps|address)|make (?:sure|an order)|put (?:it"
    r" )?(?:simply|differently)|take (?:a |it |long|to )|order (?:a|an|the|from)|"
    r"pay (?:with|by|in|for)|send (?:to|it to|them to|a gift)|ship (?:to|large|it |items)|deliver to|do (?:i|you|we"
    r"))"
)
_THING = (
    r"(?:my|our|the|this|that|it|them|these|those|me|us|both|one|#?\w*\d{3,}|whole|all|a|an|another|back|to|up|for"
    r"|off|out|instead|please)"
)
_ASKED = "".join(  # "when will you charge me?" asks for a time, and so on
    rf"(?<!\b{words} )"
    for words in (
        *("when", "why", "how", "where", "what", "how much", "how many", "how long", "how soon", "how often"),
        *(f"{which} {time}" for which in ("what", "which") for time in ("day", "date", "month", "time")),
    )
)
_NAMED = r"(?:\b[a-z]{1,4}\d{3,}|#\d{3,}|\border\b|\bmy (?:subscription|box|account|plan|points))"

ACTION = _any(
    r"\b(?:please|pls|plz|kindly)(?: (?:also|just|now|then|can you|could you|would you|go ahead and|do)){0,6}"
    rf" {_TELL}{_DO}\b",
    rf"{_ASKED}\b(?:can|could|would|will) (?:you|u|somebody|someone|anybody|one of you)"
    rf"(?: (?:please|pls|plz|also|kindly|just|maybe|possibly|perhaps|then|guys)){{0,6}} {_TELL}{_DO} {_THING}\b",
    r"\b(?:like|want|need|ask|asking|appreciate|prefer|love|expect|request|wish) (?:you|u|someone|somebody) to"
    rf" {_TELL}{_DO}\b",
    r"\b(?:i|we)(?:'?d| would| want| need| wish| request| hereby| ask)(?: also)?(?: to)? ?(?:like|love|want"
    r"|prefer|need)?(?: to)? (?:return|exchange|cancel|change|swap|switch|pause|skip|move|update|send back"
    rf"|stop)\b[^.?!]{{0,60}}{_NAMED}",
    r"\b(?:i'?d|i would|we'?d|we would|i|we)(?: also)? (?:like|want|need|prefer) (?:that|it|this|them|these|those|my"
    r" \w+|the \w+) (?:\w+ )?(?:paid|sent|changed|moved|cancelled|canceled|added|removed|shipped|delivered|refunded"
    r"|replaced|fixed|credited|corrected|extended|exchanged)\b",
    rf"(?:^|[.!?:;,)] ?|\b(?:so|and|then|just|but|now|instead|first) ){_TELL}(?:cancel|stop|change|update|switch|move"
    r"|exchange|swap|replace|refund|credit|add|remove|pause|resume|skip|re-?send|send|ship|redirect|put|turn|reset"
    r"|unlock|correct|fix|extend|waive|apply|take|charge|deliver|hold|book|arrange|block|issue|set up|restart"
    r"|reactivate|un-?pause|renew|upgrade|downgrade) (?:my|our|the|this|that|it|them|me|us|both|another|a new"
    rf"|everything|those|these|{_NAMED})\b(?! mind\b| (?:\w+ ){{0,2}}(?:is|was|has|shows|says|are|were|arrived"
    r"|came)\b)",
    r"(?:^|[.!?:;,)] ?|\b(?:and|then|so) )(?:put|keep|deliver|bring|leave|send(?! (?:me|us)\b))"
    r" [^.?!]{1,80}\b(?:please|pls|plz)\b|\b(?:please|pls|plz) (?:have|get) (?:it|this|that|them|my \w+) \w+",
    r"(?:^|[.!?:;,)] ?)no [^.,?!]{1,60}\b(?:please|pls|plz)\b|\b(?:please|pls|plz),? no (?!\w+ (?:yet|so far)\b)\w+",
    r"\b(?:make|grant) (?:me |us )?an exception\b|\bgo ahead (?:and|with)\b|\bon my behalf\b|\bby hand\b|\bdo it for"
    r" me\b|\bneed a (?:\w+ )?quote\b",
)

OWN_RECORD = _any(
    r"\b[a-z]{1,4}-?\d{3,}\b|#\d{3,}|\border (?:no\.?|number|id|nr\.?)? ?#?\d{4,}",
    r"\b(?:my|our|mine)(?: \w+){0,2} (?:order|parcel|package|refund|subscription|box|account|points|delivery|shipment"
    r"|invoice|return|purchase|payment|plan|money)\b",
)

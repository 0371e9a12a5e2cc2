"""The hard rules' patterns: what no model may overrule. They are read against folded text (`folding.readings`)."""

import re
from dataclasses import dataclass


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
    r"(?:wi(?:fe|ves)|husband|hubby|spouse|partner|girlfriend|boyfriend|ex(?:[ -](?:wife|husband|boyfriend|girlfriend"
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
            r"nicht mehr leben|umbringen|selbstmord|suizid|quitarme la vida|matarme|no quiero vivir|en finir avec la"
            r" vie",
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
            r"\bwithout (?:any )?(?:human|manual) (?:review|approval|check|intervention)|\bauto-?(?:approve|send)\b"
            r"|\bbypass the\b",
            r"\b(?:llm|chat ?gpt|language model|prompt injection)\b",
            r"ignorier\w* .{0,30}(?:anweisung|regel|vorgabe)|vergiss .{0,30}anweisung|ignora\w* .{0,30}instruccion",
            r"ignor\w+ .{0,30}(?:instructions|consignes) (?:precedentes|ci-dessus)|olvida .{0,30}instruccion|ignora"
            r" .{0,20}istruzioni",
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
            r"gehackt|betrug|\bfremder? zugriff|identitatsdiebstahl|hackeado|estafa|fraude|suplantacion|pirate\w*"
            r" (?:mon|votre) compte",
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
            r"rechtsanwalt|\banwalt|\banwaltin|rechtliche\w* schritt|verklag|\bklage\b|verbraucherzentrale"
            r"|\bgericht\b|strafanzeige",
            r"\babogad|acciones legales|\bdemanda(?:r|re|ré|do)?\b|denunci|tribunal|hoja de reclamacion|\bavocat\b"
            r"|porter plainte|\bavvocato\b",
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
            r"(?:borrar|eliminar|suprimir) .{0,20}datos|donnees personnelles|supprim\w* .{0,20}donnees",
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
            r"\b(?:kunden)?konto\b.{0,40}(?:losch|schliess|kundig|auflos)|(?:losch|schliess|kundig)\w* .{0,40}konto\b",
            r"(?:cerrar|eliminar|borrar|cancelar|dar de baja) .{0,12}cuenta|(?:supprim|ferm|clotur)\w* .{0,12}compte",
        ),
    ),
    Rule(
        "chargeback",
        "disputes a payment or speaks of a chargeback",
        _any(
            r"\bcharge ?-?backs?\b|\bcharged? it back\b|\bcharg(?:e|ing) ?back\b",
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
            r"ruckbuchung|ruckbelast|ruckbuchen|lastschrift .{0,20}(?:zuruck|widersp)|contracargo|retrofactur"
            r"|retrocession",
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
            r"\bwho (?:bought|ordered|purchased|placed|lives|sent me)\b",
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
            r"echte\w* (?:mensch|person|mitarbeiter)|mitarbeiter\w* (?:sprechen|reden)|persona real|hablar con"
            r" (?:una?|alguien)|\bun humano\b|un etre humain|vraie personne",
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
    r"erstatt|ruckzahl|\bzuruck|entschadig|gutschrift|reembols|devoluci|devolv|\brembours|\brimbors|terugbetal|indemn",
)

# -- what only limits a ticket to a draft for a person

_DO = (
    r"(?:cancel|stop|end|change|update|switch|move|exchange|swap|replace|refund|credit|apply|add|remove|merge|pause"
    r"|resume|re-?activate|activate|unpause|wake|skip|hold|re-?send|send|ship|re-?ship|"
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
_NAMED = r"(?:\b[a-z]{1,4}\d{3,}|#\d{3,}|\border\b|\bmy (?:subscription|box|account|plan|points))"

ACTION = _any(
    r"\b(?:please|pls|plz|kindly)(?: (?:also|just|now|then|can you|could you|would you|go ahead and|do)){0,6}"
    rf" {_TELL}{_DO}\b",
    r"\b(?:can|could|would|will) (?:you|u|somebody|someone|anybody|one of you)(?: (?:please|pls|plz|also|kindly|just"
    rf"|maybe|possibly|perhaps|then|guys)){{0,6}} {_TELL}{_DO} {_THING}\b",
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
    r"\b(?:make|grant) (?:me |us )?an exception\b|\bgo ahead (?:and|with)\b|\bon my behalf\b|\bby hand\b|\bdo it for"
    r" me\b|\bneed a (?:\w+ )?quote\b",
)

OWN_RECORD = _any(
    r"\b[a-z]{1,4}-?\d{3,}\b|#\d{3,}|\border (?:no\.?|number|id|nr\.?)? ?#?\d{4,}",
    r"\b(?:my|our|mine)(?: \w+){0,2} (?:order|parcel|package|refund|subscription|box|account|points|delivery|shipment"
    r"|invoice|return|purchase|payment|plan|money)\b",
)

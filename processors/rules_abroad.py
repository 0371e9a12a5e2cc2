"""The hard rules' phrases in German, Spanish, French, Italian, Portuguese and Dutch, as folded text spells them.

A help centre in English hands such tickets over anyway; one in several languages needs the same floor in each.
"""

from collections.abc import Mapping

_AC = r"(?:account|kunden-?konto|konto|cuenta|compte|conto|profil\w*|perfil|conta|accounts)"
_ITS = r"(?:mein\w*|das|den|unser\w*|mi|la|el|mon|ma|le|il|mio|mia|lo|a|minha|o|meu|mijn|het|de|ons|nuestr[oa]|notre)"
_BANK_DE = r"(?:bank|kreditkarte\w*|kartenanbieter|paypal|klarna)"
_BANK_ROMANCE = r"(?:banco|banque|banca|tarjeta|carte|carta|cartao|paypal|klarna|visa)"
_KIN = (
    r"(?:frau|mann|freund(?:in)?|nachbar(?:in|n)?|mutter|vater|schwester|bruder|sohn\w*|tochter|kolleg(?:e|in|en)|chef"
    r"|ex(?:-?(?:frau|mann|freundin|freund|mari|femme|mujer|marido|moglie|marito|mulher|vrouw|man))?|partner(?:in)?"
    r"|vecin[oa]s?|mujer|marido|espos[oa]|novi[oa]|herman[oa]|hij[oa]|madre|padre|amig[oa]|jefe|voisine?s?|femme|mari"
    r"|copine?|soeur|frere|fils|fille|mere|pere|amie?|collegue|vicin[oa]|moglie|marito|sorella|fratello|figli[oa]"
    r"|amic[oa]|collega|vizinh[oa]|mulher|namorad[oa]|irma[o]?|filh[oa]|mae|pai|colega|buurvrouw|buurman|buren|vrouw"
    r"|vriend(?:in)?|moeder|vader|zus|broer|zoon|dochter)"
)
_OF_KIN = (
    rf"(?:mein(?:er|es)|unser(?:er|es)|von mein(?:er|em)|de (?:mi|ma|mon|notre)|(?:di|del|della|dei) m(?:ia|io|iei)"
    rf"|d[aeo] (?:minha|meu)|van mijn|van onze) {_KIN}"
)
_GOODS = (
    r"(?:bestellung\w*|paket\w*|lieferung\w*|sendung\w*|pedidos?|paquetes?|envio|commandes?|colis|livraison|ordin[ei]"
    r"|pacc(?:o|hi)|spedizione|encomendas?|bestelling\w*|pakket\w*|levering)"
)
_ADDRESS = r"(?:adressen?|direccion(?:es)?|adresses?|indirizz[oi]|moradas?|enderecos?|adres(?:sen)?)"
_OTHER = (
    r"(?:eines? ander(?:en|er)|ander(?:er|en) kund\w*|fremde[rn]|(?:de )?otr[oa]s? client\w*"
    r"|(?:d')?une? autre client\w*|d'autres clients|(?:di )?un(?:'| )?altr[oa] client\w*|(?:di )?altri clienti"
    r"|(?:de )?outr[oa]s? client\w*|(?:van )?(?:een )?andere klant\w*)"
)
_PERSON_DE = r"(?:menschen?|person|mitarbeiter(?:in|s)?|berater(?:in|s)?|sachbearbeiter\w*|jemand\w*|kollegen)"
_PERSON = (
    r"(?:persona|humano|humana|alguien|agente|operador\w*|asesor\w*|encargad[oa]|responsable|humain\w*|personne"
    r"|conseill\w+|quelqu'un|responsabile|operator[ei]|umano|essere umano|qualcuno|consulente|pessoa|alguem|atendente"
    r"|assistente|ser humano|mens|persoon|medewerk\w+|iemand|adviseur|collega)"
)

ABROAD: Mapping[str, tuple[str, ...]] = {
    "self_harm": (
        r"\b(?:nicht (?:mehr|langer) (?:leben|da sein|weiterleben)|(?:mich|mir) (?:selbst )?(?:umzubringen|umbringen"
        r"|toten|das leben nehmen)|tote mich|bringe mich um|(?:halte|ertrage) (?:das leben|es) nicht mehr|ritze mich"
        r"|freitod|mein leben beenden)\b|selbst(?:mord"
        r"|totung|verletz)|suizid",
        r"\b(?:ya )?no (?:quiero|puedo) (?:seguir )?(?:viviendo|vivir)\b|\bme (?:quiero|voy a) (?:morir|matar|suicidar)"
        r"|\b(?:morirme|matarme|suicidarme|quitarme la vida|hacerme dano|acabar con (?:mi vida|todo))\b",
        r"\b(?:ne veux|ai) plus (?:envie de )?vivre\b|\b(?:envie|veux|vais|voudrais)"
        r" (?:de )?(?:mourir|me tuer|en finir)\b|\b(?:m'oter la vie|me faire du mal|mettre fin a mes jours)\b|\bsuicid",
        r"\bnon (?:voglio|riesco)(?: piu)? (?:a )?(?:piu )?vivere\b|\b(?:mi voglio|voglio|vorrei) (?:morire|uccidere"
        r"|uccidermi|ammazzar\w*|farla finita)\b|\b(?:uccidermi|ammazzarmi|togliermi la vita|farmi del male)\b",
        r"\bnao (?:quero|consigo|aguento) (?:mais )?(?:continuar a )?(?:viver|estar viv[oa])\b|\b(?:vou"
        r"|quero) (?:me )?(?:matar"
        r"|suicidar|morrer)(?:-me)?\b|\b(?:matar-me|acabar com a minha vida|tirar a minha vida)\b",
        r"\b(?:niet (?:meer|langer) (?:leven|verder leven)|leven niet meer zitten|wil dood|wil sterven"
        r"|mezelf (?:van kant|iets aan"
        r"|doden|ombrengen)|er een (?:eind|einde) aan maken|een einde aan mijn leven)\b|zelf(?:moord|doding)",
    ),
    "personal_injury": (
        r"\b(?:verbrannt|verbruht|verletz(?:t|ung\w*)|geblutet|blutet|notaufnahme|stromschlag|feuer gefangen|in brand"
        r"|gebrannt|explodiert|geplatzt|vergift\w+|erstick\w+|verschluckt)\b|krankenhaus|unfallchirurg"
        r"|\b(?:gestorben|verstorben|ums leben)\b",
        r"\b(?:me|se|nos) (?:queme|quemo|corte|corto|lesione|lesiono|electrocut\w+|intoxic\w+|atragant\w+)\b"
        r"|\bheridas?\b|\b(?:se )?(?:incendi[oa]\w*|prendio fuego|exploto|estallo)\b|\b(?:al|en el) hospital\b"
        r"|\burgencias\b"
        r"|\bquemadura|\bdescarga electrica|\bfallecid|\bha muerto\b",
        r"\b(?:brul(?:e|ee|es|ees|ure\w*)|bless(?:e|ee|es|ees|ure\w*)|pris feu|explos\w+|explose\w*|electrocut\w+"
        r"|intoxiqu\w+|urgences|decede\w*)\b|\bl'hopital|\ba l'hopital|\bs'est coupe",
        r"\b(?:bruciat[oa]|ustionat[oa]|ustion[ei]|ferit[oaie]|preso fuoco|prendere fuoco|incendiat[oa]|esplos[oa]"
        r"|ospedale|pronto soccorso|scossa elettrica|intossicat[oa]|fulminat[oa]|mort[oa])\b",
        r"\b(?:cort(?:ei|ou)-(?:me|se)|(?:se|me) cort(?:ou|ei)|queimei|queimou|queimadur\w+|ferid[oa]s?|feriu"
        r"|magoou-se|pegou fogo|incendiou|explodiu|choque eletrico"
        r"|(?:ao|no|para o|pro) hospital|urgencias|intoxic\w+|faleceu|morreu)\b",
        r"\b(?:zich|me|mezelf) (?:\w+ ){0,3}gesneden\b|\b(?:verbrand|gewond|verwond\w*|in brand|vlam gevat|ontploft"
        r"|ziekenhuis|spoedeisende|eerste hulp|elektrische"
        r" schok|vergiftigd|gestikt|overleden|bloed\w*)\b",
    ),
    "prompt_injection": (
        r"\b(?:ignorier\w*|vergiss|missachte|umgeh\w*|ubergeh\w*)\b.{0,40}\b(?:anweisung\w*|regeln?|vorgaben?"
        r"|instruktion\w*|richtlinie\w*|befehl\w*)\b|\bdu bist (?:jetzt|ab jetzt|nun|ab sofort)\b"
        r"|\b(?:antworte|antworten sie) (?:nur|ausschliesslich) mit\b",
        r"\b(?:ignora\w*|olvida\w*|omite|desobedece|salta\w*)\b.{0,40}\b(?:instrucci\w+|reglas|normas|ordenes"
        r"|directrices)\b|\b(?:ahora eres|a partir de ahora eres|actua como)\b|\bresponde (?:solo|unicamente) con\b",
        r"\b(?:ignor(?:es?|ez|er|ons)|oubli\w+|outrepass\w+|contourn\w+)\b.{0,40}\b(?:instructions?|consignes?|regles|directives)\b"
        r"|\b(?:tu es|vous etes) (?:maintenant|desormais)\b|\breponds? (?:uniquement|seulement) par\b",
        r"\b(?:ignora\w*|dimentica\w*|scavalca\w*)\b.{0,40}\b(?:istruzion\w+|regole|direttive|ordini precedenti)\b"
        r"|\b(?:ora|adesso|da ora) sei (?:un|una|il|dan)\b|\brispondi (?:solo|soltanto) con\b",
        r"\b(?:ignor(?:e|em|a|ar|ai)|esque\w+|contorn\w+)\b.{0,40}\b(?:instruc\w+|regras|diretrizes|ordens)\b"
        r"|\b(?:agora (?:es|voce e)|a partir de agora (?:es|voce))\b|\bresponde (?:apenas|so) com\b",
        r"\b(?:negeer|vergeet|omzeil|sla)\b.{0,40}\b(?:instructies?|regels|richtlijnen|opdrachten)\b"
        r"|\b(?:je|jij|u) bent (?:nu|voortaan|vanaf nu)\b|\bantwoord (?:alleen|uitsluitend) met\b",
        r"\b(?:intern\w*|geheim\w*|secret\w*|segret\w*|verborgen\w*) (?:anweisung\w*|instruc\w*|istruzion\w*|regeln)\b"
        r"|\b(?:instruc\w+|istruzion\w+|consignes|regles|reglas|regole|regras) (?:intern\w*|secret\w*|segret\w*)\b",
        r"\bsyste(?:m|em)[ -]?prompt|\bprompt (?:del|de|do|di) sist\w+|\bprompt (?:de )?systeme\b"
        r"|\b(?:sin|sans|senza|sem|ohne|zonder) (?:restric\w+|restrizion\w+|regeln|beschrankung\w*|beperking\w*)\b",
    ),
    "security_incident": (
        r"\b(?:fremder?|unbekannter?|desconocid[oa]|inconnue?|sconosciut[oa]|estrane[oa]|desconhecid[oa]|estranh[oa]"
        r"|onbekende|vreemde) (?:(?:ha|hat|est|heeft|is|esta|sta) )?(?:be?nutz|us[aou]|utilis|gebruikt|acced|access"
        r"|entr"
        r"|inlog|eingeloggt|connect)\w*|\bm(?:e|i|ij) (?:han |hanno |hebben )?(?:robado|robaron|rubato|hackeado)\b"
        r"|\b(?:roubaram|robaron|clonaram|clonaron)\b|\b(?:misbruikt|missbraucht)\b",
        r"\b(?:gehackt|gekapert|ausgespaht|gestohlen\w*|missbraucht\w*)\b|\bphishing|\bbetrug|\bjemand (?:hat|ist)"
        r"\b.{0,30}\b(?:eingeloggt|angemeldet|zugriff|konto|bestellt)\b|\bnicht (?:ich|von mir) (?:bestellt|aufgegeben"
        r"|getatigt|veranlasst)\b|\b(?:bestellung|zahlung|buchung)\w* .{0,30}\b(?:nicht (?:aufgegeben|getatigt|gemacht"
        r"|veranlasst|von mir))\b|\bsicherheits(?:lucke|vorfall|problem)",
        r"\bhacke(?:ado|ada|aron|o)\b|\bha(?:n|) hackead|\balguien (?:ha |se )?(?:entr|acced|usad|cambi|inici|conect"
        r"|met)\w*\b|\b(?:pedido|compra|cargo|pago)s? que (?:yo )?no (?:hice|he hecho|reconozco|realice)\b"
        r"|\b(?:robad[oa]|robaron|suplantad[oa]|phishing|estafa|fraude)\b|\bno reconozco (?:est[ea]|el|la) "
        r"(?:cargo|pedido|compra|pago)",
        r"\bpirate[e]?s?\b|\bhack(?:e|ee)\b|\bhameconn|\bphishing|\bfraud|\barnaqu|\bescroqu"
        r"|\bquelqu'un (?:s'est|a|utilise)\b.{0,30}\b(?:connect\w*|acced\w*|utilis\w*|compte|commande|chang\w*)\b"
        r"|\bn'ai (?:pas|jamais) (?:passe|fait|effectue|autorise) (?:cette|ces|de|ce) (?:commandes?|achats?|paiements?)"
        r"|\b(?:usurp\w+|vole\w*) .{0,15}(?:identite|carte|compte|mot de passe)",
        r"\bhackerat|\bviolat[oa]\b|\bphishing|\btruff|\bfrod[ei]|\bqualcuno (?:e|ha|sta)\b.{0,30}\b(?:entrat|access"
        r"|usat|usand|cambiat|account|conto)\w*|\bnon (?:ho fatto|ho effettuato|riconosco)(?: io)? (?:quest\w*|"
        r"l'|l)\b|\b(?:rubat|clonat)[oaie]\b",
        r"\b(?:hackead|hackeara|invadid|clonad|roubad|piratead)\w*\b|\bphishing|\bburla|\bfraude|\bgolpe\b"
        r"|\balguem (?:entrou|acedeu|acessou|usou|mudou|esta a usar|fez)\b|\bnao (?:fui eu|fiz|reconheco) (?:que fiz )?"
        r"(?:est[ae]|ess[ae])\b|\bnao fui eu\b",
        r"\bgehackt|\bphishing|\bfraude\b|\boplichting|\bopgelicht|\bgestolen\b|\bgekaapt"
        r"|\biemand (?:heeft|is|gebruikt)\b.{0,30}\b(?:ingelogd|toegang|account|gebruikt|besteld|veranderd)\b"
        r"|\b(?:bestelling|betaling|aankoop)\w*"
        r" .{0,25}\bniet (?:geplaatst|gedaan|gemaakt|van mij)\b",
    ),
    "legal_threat": (
        r"\b(?:rechtsanw\w+|anwalt\w*|anwaltin|verklag\w+|klagen|klage ein\w*|rechtsweg|rechtlich\w* (?:schritt\w*"
        r"|vorgeh\w*)|gericht(?:lich\w*)?|mahnbescheid|abmahn\w+|anzeige (?:erstatten|gegen)|strafanzeige"
        r"|schlichtungsstelle|verbraucher(?:schutz|zentrale)\w*)\b",
        r"\babogad|\bdemandar\w*|\bles demando\b|\b(?:pon|interpon|present)\w* (?:una )?(?:demanda|denuncia"
        r"|reclamacion (?:oficial|en consumo))|\bdenunci(?:ar|are|aremos|a|o)\w*\b|\btribunal|\bjuicio\b|\bjuzgado"
        r"|\bvia judicial|\boficina del consumidor|\bacciones (?:legales|judiciales)",
        r"\bavocat|\bporter(?:ai|ons)? plainte|\bplainte (?:contre|aupres)|\btribunal|\bpoursui\w+ (?:en justice"
        r"|judiciaire\w*)|\ben justice\b|\bjudiciaire|\bmise en demeure|\bdgccrf\b|\bmediateur|\b60 millions\b"
        r"|\bje vous poursui\w+|\bhuissier",
        r"\bavvocat|\b(?:faro|faremo|fare|faccio) causa\b|\bcausa legale|\bvie legali|\bazion[ei] legal[ei]|\btribunale"
        r"|\bquerel|\bdenunci(?:o|amo|a|are|ero)\b|\bvi cito\b|\bgiudice\b|\bassociazione (?:dei )?consumatori"
        r"|\bcarabinieri",
        r"\badvogad|\b(?:vou|vamos|irei) processar\b|\bprocessar-(?:vos|los)|\btribunal"
        r"|\b(?:apresentar|fazer) (?:uma )?queixa\b|\bac[c]?(?:ao|oes) (?:legal|legais|judicia\w+)"
        r"|\blivro de reclamacoes|\bprocon\b|\bdeco\b"
        r"|\bmedidas (?:legais|judiciais)|\bjustica\b",
        r"\badvoca(?:at|ten)|\bjurist\b|\brecht(?:er|bank|szaak)\b|\bklaag (?:jullie|u|je) aan\b|\baanklagen\b"
        r"|\baangifte\b|\bjuridische (?:stappen|actie)|\bdagvaard|\bconsumentenbond|\bgeschillencommissie"
        r"|\bingebrekestelling|\bpolitie\b",
    ),
    "privacy_request": (
        r"\bdsgvo\b|\bdatenschutz(?:beauftrag|anfrage|auskunft|behorde)\w*|\b(?:losch\w*|entfern\w*|vernicht\w*)\b"
        r".{0,30}\b(?:daten|informationen)\b|\b(?:daten|informationen)\b.{0,30}\b(?:losch\w*|gespeichert|entfern\w*)"
        r"|\bwelche (?:\w+ )?(?:daten|informationen)\b.{0,20}\b(?:mich|mir)\b|\bkopie (?:\w+ ){0,3}daten\b",
        r"\brgpd\b|\bproteccion de datos|\b(?:borr|elimin|suprim)\w* .{0,30}\bdatos\b|\b(?:que|todos los|mis) datos"
        r"\b.{0,30}\b(?:sobre mi|de mi|tienen|guardan|personales)\b|\bcopia de (?:todos )?mis datos"
        r"|\bderecho (?:de supresion|de acceso|al olvido)",
        r"\brgpd\b|\bcnil\b|\b(?:supprim|effac)\w* .{0,30}\b(?:donnees|informations)\b|\bquelles? (?:donnees"
        r"|informations)\b.{0,25}\b(?:sur moi|me concernant|detenez|avez)\b|\bcopie de (?:toutes )?mes donnees"
        r"|\bdroit (?:a l'oubli|d'acces|a l'effacement)",
        r"\bgarante (?:della )?privacy|\b(?:cancell|elimin|rimuov)\w* .{0,30}\bdati\b|\b(?:quali|tutti i|miei) dati"
        r"\b.{0,25}\b(?:su di me|avete|personali|conservate)\b|\bcopia dei miei dati|\bdiritto (?:all'oblio|di accesso"
        r"|alla cancellazione)|\baccesso ai (?:miei )?dati",
        r"\brgpd\b|\blgpd\b|\b(?:apag|elimin|exclu|remov)\w* .{0,30}\bdados\b"
        r"|\b(?:que|quais|todos os|meus) (?:os )?(?:meus )?dados\b.{0,25}\b(?:sobre mim|tem|guardam|pessoais"
        r"|possuem)\b|\bcopia dos meus dados"
        r"|\bdireito (?:ao esquecimento|de acesso|ao apagamento)",
        r"\bavg\b|\bpersoonsgegevens|\b(?:verwijder|wis|vernietig)\w* .{0,30}\b(?:gegevens|data)\b"
        r"|\bwelke (?:gegevens|data|informatie)\b.{0,25}\b(?:over mij|van mij)\b|\bkopie van (?:al )?mijn gegevens"
        r"|\brecht op (?:inzage|vergetelheid)|\binzage in\b",
    ),
    "account_closure": (
        rf"\b(?:losch\w*|schliess\w*|kundig\w*|auflos\w*|deaktivier\w*|entfern\w*|beend\w*)\b.{{0,12}}\b{_ITS} {_AC}\b"
        rf"|\b(?:kundigung|loschung|schliessung|auflosung) {_ITS} {_AC}\w*"
        rf"|\b{_AC}\b.{{0,12}}\b(?:losch\w*|geloscht|schliess\w*|kundig\w*|auflos\w*|deaktivier\w*|beend\w*"
        r"|aufgelost)\b",
        rf"\b(?:cerr|cierr|elimin|borr|cancel|desactiv|suprim)\w*.{{0,10}}\b{_ITS} {_AC}\b"
        r"|\b(?:darme|dame|denme|dar|den|darse) de baja\b(?!.{0,30}\b(?:boletin|newsletter|publicidad|correos"
        r"|suscripcion)\b)|\bbaja (?:de|en) (?:mi|la) cuenta\b",
        rf"\b(?:ferm|supprim|clotur|desactiv|effac|resili)\w*.{{0,10}}\b{_ITS} {_AC}\b"
        r"|\b(?:cloture|suppression|fermeture|resiliation) d[eu] (?:mon |notre )?compte\b",
        rf"\b(?:chiud\w*|chiusur\w*|elimin\w*|cancell\w*|disattiv\w*|rimuov\w*)\b.{{0,10}}\b(?:{_ITS} )?(?:{_ITS} )?"
        rf"{_AC}\b",
        rf"\b(?:fech\w*|encerr\w*|elimin\w*|exclu\w*|apag\w*|cancel\w*|desativ\w*)\b.{{0,10}}\b{_ITS} (?:minha "
        rf"|meu )?{_AC}"
        r"\b",
        rf"\b(?:sluit\w*|verwijder\w*|opzeg\w*|beeindig\w*|deactiveer\w*|wis)\b.{{0,10}}\b{_ITS} {_AC}\b"
        rf"|\b{_ITS} {_AC}\b.{{0,12}}\b(?:sluiten|verwijder\w*|op(?: te)?zeggen|opgezegd|beeindig\w*|deactiver\w*)\b",
    ),
    "chargeback": (
        rf"\bruck(?:buch|last|ruf)\w*|\bzuruck(?:buch|zubuch|gebuch|hol|zuhol)\w*"
        rf"|\bwidersp\w+\b.{{0,25}}\b(?:lastschrift"
        rf"|zahlung|abbuchung|buchung)\w*|\b(?:lastschrift|zahlung|abbuchung|buchung)\w*\b.{{0,25}}\bwidersp\w+"
        rf"|\b{_BANK_DE}\b.{{0,30}}\b(?:reklamier|zuruck|storn|beanstand|ruckgangig)\w*"
        rf"|\b(?:reklamier|beanstand)\w*\b.{{0,30}}\b{_BANK_DE}\b|\bkauferschutz",
        rf"\bcontracargo|\bretrocesion|\b(?:disput|impugn|anul|revert|devolv|reclam"
        rf"|retroced)\w*\b.{{0,30}}\b{_BANK_ROMANCE}\b"
        rf"|\b{_BANK_ROMANCE}\b.{{0,25}}\b(?:disput|impugn|anul|revert|retroced)\w*|\b(?:disput|impugn)\w* (?:el|este) "
        r"(?:cargo|pago|cobro)",
        rf"\bretro-?factur|\bretrocession|\bopposition\b.{{0,15}}\b(?:paiement|prelevement|carte)\b|\b(?:contest|annul"
        rf"|rejet"
        rf"|revers)\w*\b.{{0,30}}\b(?:{_BANK_ROMANCE})\b|\b{_BANK_ROMANCE}\b.{{0,25}}\b(?:annul|contest|rejet"
        rf"|rembours)\w*"
        r"|\bcontest\w* (?:ce|le|un) (?:paiement|prelevement|debit)",
        rf"\bstorn(?:o|are|ato|i)\b|\b(?:contest|annull|stor)\w*\b.{{0,30}}\b{_BANK_ROMANCE}\b"
        rf"|\b{_BANK_ROMANCE}\b.{{0,25}}\b(?:annull|contest|storn|riaddebit)\w*|\bcontest\w* (?:l'addebito"
        r"|il pagamento|la transazione)",
        rf"\bestorn\w*|\b(?:contest|anul|revert|disput)\w*\b.{{0,30}}\b{_BANK_ROMANCE}\b"
        rf"|\b{_BANK_ROMANCE}\b.{{0,25}}\b(?:anul"
        r"|contest|estorn|revert)\w*|\bcontest\w* (?:a|o|esta|este) (?:cobranca|pagamento|debito)",
        r"\bstorner\w*|\bterugboek\w*|\bterug (?:te )?boeken|\bbetwist\w*\b.{0,25}\b(?:betaling|afschrijving|bank)\b"
        r"|\b(?:bank|creditcard\w*|paypal)\b.{0,25}\b(?:terug\w*|storner|betwist)\w*",
        r"\bcharge-?back|\b(?:litige|geschil|disputa|streitfall|contestazione|reclamacion)\b.{0,12}\b(?:paypal|klarna"
        r"|visa)\b"
        r"|\b(?:paypal|klarna|visa)[ -](?:litige|geschil|disputa|streitfall|fall)\b"
        r"|\bremboursement (?:\w+ ){0,2}(?:a|par|aupres de) ma banque\b|\bbank bucht\b|\bbank boekt\b",
    ),
    "other_customer": (
        rf"\b{_GOODS} (?:von )?{_OF_KIN}\b|\b(?:{_GOODS}|{_ADDRESS}) (?:von |van )?{_OTHER}\b"
        rf"|\b{_OTHER} (?:{_GOODS}|{_ADDRESS})\b",
        rf"\b(?:was|welche|hat|haben) .{{0,12}}\b(?:meine?|unsere?) {_KIN}\b.{{0,12}}\b(?:bestellt|gekauft)\b"
        rf"|\bque (?:ha|han|habia) (?:pedido|comprado) mi {_KIN}\b"
        rf"|\bmi {_KIN} (?:ha )?(?:pidio|compro|pedido|comprado)\b"
        rf"|\b(?:qu'a|qu'est-ce qu'a|a) (?:commande|achete) (?:mon|ma) {_KIN}\b"
        rf"|\b(?:ha|cosa ha) (?:ordinato|comprato) (?:la |il )?mi[oa] {_KIN}\b"
        rf"|\b(?:encomendou|comprou|pediu) (?:a |o )?(?:minha|meu) {_KIN}\b"
        rf"|\b(?:heeft|wat heeft) mijn {_KIN}\b.{{0,12}}\b(?:besteld|gekocht)\b",
    ),
    "person_demanded": (
        rf"\b(?:mit|von|an) (?:einem|einer|eine|einen|jemand\w*|eurem|ihrem) ?(?:\w+ )?(?:{_PERSON_DE})\b.{{0,20}}\b"
        r"(?:sprech|red|verbind|verbunden|chatt|telefonier|schreib)\w*"
        r"|\bmit jemand\w* (?:sprech|red|chatt|telefonier)\w*|\b(?:geben|gib) (?:sie )?mir (?:bitte )?ein\w* "
        rf"{_PERSON_DE}\b|\b(?:verbind\w*|weiterleit\w*|durchstell\w*|sprechen|reden|chatten)\b.{{0,12}}\bmit"
        rf" (?:\w+ ){{0,2}}{_PERSON_DE}\b"
        rf"|\bechte[nrs]? {_PERSON_DE}\b"
        r"|\b(?:kein\w*|nicht mit (?:einem|dem)) (?:chat-?)?(?:bot|roboter|maschine|ki)\b"
        r"|\brufen sie mich an\b|\bruf mich an\b",
        rf"\b(?:habl\w+|comunic\w+|contact\w+|chate\w+|convers\w+) con (?:una? |el |la |algun )?(?:\w+ )?{_PERSON}\b"
        rf"|\b(?:pasame|paseme|pasenme|ponme|pongame|poner\w*|derive\w*|transfier\w+) (?:con|a) (?:una? |el |la )?"
        rf"{_PERSON}\b|\b(?:quiero|necesito|exijo) (?:un|una|a un) (?:humano|humana|persona|agente)\b"
        r"|\b(?:no (?:quiero|mas)|nada de|sin) (?:hablar con )?(?:un |una |mas )?(?:robots?|bots?|maquinas?)\b"
        r"|\bllamenme\b|\bllamame\b",
        rf"\bparler (?:a|avec) (?:une? |votre |un vrai |une vraie )?(?:\w+ )?{_PERSON}\b|\bpassez-moi\b"
        r"|\bmettez-moi en (?:relation|contact)\b|\b(?:veux|exige|demande) un (?:conseiller|agent|humain)\b"
        r"|\bvraie? (?:personne|humain|conseiller)\b|\bpas (?:de|un|a un) (?:robot|bot|machine)\b"
        r"|\b(?:etre )?humain\b|\brappelez-moi\b|\bappelez-moi\b",
        rf"\bparlare con (?:un |una |un'|qualcuno|il |la |una vera )?(?:\w+ )?{_PERSON}\b|\bparlare con qualcuno\b"
        rf"|\bmi (?:passi|passate|metta|mettete)\b.{{0,15}}\b{_PERSON}\b|\bpassatemi\b|\bessere umano\b"
        r"|\bpersona (?:vera|reale)\b"
        r"|\bnon (?:voglio|con) (?:parlare con )?(?:un |una )?(?:bot|robot|macchina)\b|\b(?:richiamatemi"
        r"|chiamatemi|mi chiami)\b",
        rf"\b(?:falar|conversar) com (?:uma? |o |a |algum )?(?:\w+ )?{_PERSON}\b"
        r"|\b(?:passe-me|passem-me|transfira|ligue-me|me (?:passe|transfira))\b|\b(?:pessoa|atendente"
        r"|assistente) (?:real|human[oa]|de verdade)\b|\bser humano\b"
        r"|\bnao (?:quero|com) (?:falar com )?(?:um |uma )?(?:robo|bot|maquina)\b|\bliguem-me\b",
        rf"\b(?:spreken|praten|chatten|contact)\b.{{0,8}}\bmet (?:een |iemand|jullie )?(?:\w+ )?{_PERSON}\b"
        rf"|\bmet (?:een )?(?:\w+ )?{_PERSON} (?:spreken|praten|chatten)\b|\b(?:een|echt\w*) (?:mens|persoon"
        rf"|medewerker)"
        r" (?:spreken|aan de lijn)\b|\bverbind (?:me|mij) door\b|\bdoorverbind\w*|\becht (?:mens|persoon)\b|\bechte"
        r" (?:mens|persoon|medewerker)\b|\bgeen (?:chat)?(?:bot|robot|machine)\b|\bbel (?:me|mij)\b",
    ),
}

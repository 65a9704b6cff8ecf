"""Lists of words that instructions speak of."""

from __future__ import annotations


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


CONJUNCTIONS = _listed(
    """
    for and nor but or yet so
    """
)
"""The coordinating conjunctions of English."""

PRONOUNS = _listed(
    """
    i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers
    herself it its itself they them their theirs themselves this that these those who whom whose which what whoever
    whomever whatever whichever someone somebody something anyone anybody anything everyone everybody everything
    no-one nobody nothing none one another each either neither both few many several all any some most other others
    such oneself
    """
)
"""Personal, possessive, reflexive, demonstrative, relative, interrogative and indefinite pronouns."""

STOP_WORDS = _listed(
    """
    a about above after again against all am an and any are aren't as at be because been before being below between
    both but by can can't cannot could couldn't did didn't do does doesn't doing don't down during each few for from
    further had hadn't has hasn't have haven't having he her here hers herself him himself his how i if in into is
    isn't it it's its itself just me more most mustn't my myself needn't no nor not now of off on once only or other
    our ours ourselves out over own same shan't she she's should shouldn't so some such than that that'll the their
    theirs them themselves then there these they this those through to too under until up very was wasn't we were
    weren't what when where which while who whom why will with won't would wouldn't you you'd you'll you're you've
    your yours yourself yourselves
    """
)
"""Words of grammar rather than of content."""

NAMES = _listed(
    """
    emma liam sophia jackson olivia noah ava lucas isabella mason mia ethan charlotte alexander amelia benjamin
    harper leo zoe daniel chloe samuel lily matthew grace owen abigail gabriel ella jacob scarlett nathan victoria
    elijah layla nicholas audrey david hannah christopher penelope thomas nora andrew aria joseph claire ryan stella
    jonathan
    """
)
"""The names that IFBench's instruction lists."""

SMALL_WORDS = _listed(
    """
    a an and as at but by en for from if in into nor of off on onto or over per so the to up via vs with yet
    """
)
"""Words that a title may leave small."""

VERBS = _listed(
    """
    accept achieve act adapt add adjust advise agree aim allow analyze answer apply appear approach argue arrange
    ask assess assign assume attach attend avoid be become begin believe blend boil break bring build buy calculate
    call capture care carry cast catch cause celebrate challenge change charge check choose clarify clean clear
    climb close collect combine come compare complete compute conclude conduct confirm connect consider construct
    contact contain continue control convert convince cook copy correct count cover craft create cross cut dance
    deal decide declare define deliver depend derive describe design determine develop discover discuss divide do
    doubt draft draw dream drink drive drop earn eat edit embark embrace emerge employ enable encourage end engage
    enjoy ensure enter envision establish estimate evaluate examine exist expand expect experience explain explore
    express extend face fall feel fight figure fill find finish fit fix fly focus follow force form foster gain
    gather generate get give go grab grasp greet grow guess guide handle happen hear help hide highlight hold hope
    identify imagine implement improve include increase indicate infer inform install integrate intend introduce
    invest investigate invite involve join judge jump keep know laugh launch lay lead learn leave let leverage lie
    lift limit link list listen live locate look lose love maintain make manage mark master match measure meet
    mention mind mix model modify move name navigate need note notice observe obtain offer open operate optimize
    order organize outline own pass pay perform pick picture place plan play point ponder practice prepare present
    press prevent print proceed process produce promote propose protect prove provide pull pursue push put raise
    reach read realize recall receive recognize recommend record reduce refer reflect refuse regard relate release
    rely remain remember remind remove replace reply report represent request require research resolve respond rest
    return reveal review rise run save say search see seek seem select sell send serve set share shift show simplify
    sing sit solve sort speak spend stand start state stay step stop store study submit suggest suit summarize
    support suppose survey take talk teach tell tend test thank think throw touch track train transform travel treat
    trust try turn understand unlock unveil update use utilize verify view visit wait walk want watch wear welcome
    win witness wonder work worry write yield
    """
)
"""Common verbs, in the form that opens a request."""

AFRICA = tuple(
    """algeria|angola|benin|botswana|burkina faso|burundi|cabo verde/cape verde|cameroon|central african republic|chad|
    comoros|democratic republic of the congo|republic of the congo/congo|cote d'ivoire/ivory coast|djibouti|egypt|
    equatorial guinea|eritrea|eswatini/swaziland|ethiopia|gabon|gambia|ghana|guinea|guinea-bissau|kenya|lesotho|liberia|
    libya|madagascar|malawi|mali|mauritania|mauritius|morocco|mozambique|namibia|niger|nigeria|rwanda|
    sao tome and principe|senegal|seychelles|sierra leone|somalia|south africa|south sudan|sudan|tanzania|togo|tunisia|
    uganda|zambia|zimbabwe""".replace("\n", "")
    .replace("    ", "")
    .split("|")
)
"""The 54 states of Africa, two names of one divided by a slash."""

CAPITALS = {
    "reykjavik": 64.1, "helsinki": 60.2, "oslo": 59.9, "tallinn": 59.4, "stockholm": 59.3, "riga": 56.9, "moscow": 55.8,
    "copenhagen": 55.7, "vilnius": 54.7, "minsk": 53.9, "dublin": 53.3, "berlin": 52.5, "amsterdam": 52.4,
    "warsaw": 52.2, "london": 51.5, "brussels": 50.8, "kyiv": 50.5, "prague": 50.1, "luxembourg": 49.6, "paris": 48.9,
    "vienna": 48.2, "bratislava": 48.1, "budapest": 47.5, "vaduz": 47.1, "chisinau": 47.0, "bern": 46.9,
    "ljubljana": 46.1, "zagreb": 45.8,
}  # fmt: skip
"""Capitals of Europe north of 45 degrees, with their latitude."""

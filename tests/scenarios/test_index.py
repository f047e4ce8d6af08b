"""The index of the stories is true and current."""

from collections import Counter

from tests.scenarios.index import HERE, PAGE, page, rules, themes


def test_the_page_is_what_the_command_writes():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.scenarios.index"


def test_every_rule_names_stories_that_exist():
    told = {story.sentence for theme in themes() for story in theme.stories}
    named = {sentence for section in rules().values() for rule in section for sentence in rule.stories}
    assert named - told == set()


def test_no_two_stories_have_the_same_name():
    told = Counter(story.sentence for theme in themes() for story in theme.stories)
    assert [sentence for sentence, times in told.items() if times > 1] == []


def test_what_is_tested_elsewhere_is_tested_there():
    elsewhere = {rule.elsewhere for section in rules().values() for rule in section if rule.elsewhere}
    assert [path for path in elsewhere if not (HERE.parents[1] / path).exists()] == []

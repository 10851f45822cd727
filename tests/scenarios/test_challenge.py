from scenarios.challenge import FOLDERS, KINDS
from scenarios.description import read_description


def test_the_challenge_is_the_ready_made_stream_of_that_name():
    described = read_description("challenge").experiences
    assert {each.name: str(each.source.path) for each in described} == FOLDERS
    assert {each.name: each.kind for each in described} == KINDS
    assert [each.name for each in described] == list(FOLDERS) == list(KINDS)

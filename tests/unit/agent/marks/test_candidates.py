import pytest

from singletrack.agent.marks.candidates import choose_candidates, in_reading_order, numbered
from singletrack.agent.targets.element import Element, Role
from singletrack.agent.targets.geometry import Box, Point


def element(*box: int, text: str = "", score: float = 0.5) -> Element:
    return Element(Box(*box), text, Role.BUTTON, score)


def grid(columns: int, rows: int) -> list[Element]:
    return [element(x * 100, y * 50, 80, 40) for y in range(rows) for x in range(columns)]


class TestChoosing:
    def test_the_better_of_two_at_one_place_stays(self) -> None:
        worse, better = element(10, 10, 100, 40, score=0.4), element(14, 12, 100, 40, score=0.9)
        assert choose_candidates([worse, better]) == (better,)

    def test_a_label_inside_its_button_is_one_place(self) -> None:
        button, label = element(0, 0, 140, 64, text="Apply"), element(30, 16, 60, 30, text="Apply")
        assert choose_candidates([label, button]) == (button,)

    def test_a_button_in_a_panel_is_another_place(self) -> None:
        panel, button = element(0, 0, 800, 600), element(30, 16, 60, 30, text="Apply")
        assert set(choose_candidates([panel, button])) == {panel, button}

    def test_only_centres_within_the_box_count(self) -> None:
        inside, outside = element(10, 10, 50, 20), element(180, 10, 50, 20)
        assert choose_candidates([inside, outside], within=Box(0, 0, 200, 100)) == (inside,)

    def test_the_best_stay_where_there_are_too_many(self) -> None:
        many = grid(20, 10)
        best = element(5000, 0, 80, 40, score=0.9)
        chosen = choose_candidates([*many, best])
        assert len(chosen) == 60
        assert best in chosen

    def test_the_nearest_stay_where_a_place_is_expected(self) -> None:
        chosen = choose_candidates(grid(20, 10), near=Point(1940, 470), limit=4)
        assert {it.box.left for it in chosen} == {1800, 1900}
        assert {it.box.top for it in chosen} == {400, 450}

    def test_an_empty_box_is_no_candidate(self) -> None:
        assert choose_candidates([element(10, 10, 0, 20)]) == ()

    def test_the_order_of_the_input_does_not_matter(self) -> None:
        many = grid(20, 10)
        assert choose_candidates(many) == choose_candidates(list(reversed(many)))


class TestOrder:
    def test_rows_are_read_from_the_left_although_their_tops_differ(self) -> None:
        first, second, below = element(0, 12, 50, 40), element(100, 10, 50, 40), element(0, 80, 50, 40)
        assert in_reading_order([below, second, first]) == (first, second, below)

    def test_a_tall_element_does_not_swallow_the_rows_beside_it(self) -> None:
        tall = element(0, 0, 50, 400)
        rows = [element(100, top, 50, 20) for top in (100, 150, 190, 230, 290)]
        assert [it for it in in_reading_order([tall, *rows]) if it is not tall] == rows

    def test_numbers_begin_with_1(self) -> None:
        assert [mark.number for mark in numbered(grid(3, 1))] == [1, 2, 3]


@pytest.mark.parametrize("limit", [1, 7, 60])
def test_there_are_never_more_than_the_limit(limit: int) -> None:
    assert len(choose_candidates(grid(30, 10), limit=limit)) == limit

"""An answer is JSON, or wraps exactly one JSON value in a way that leaves no doubt."""

import json

import pytest

from singletrack_worker.gpu.judging.answer_text import MAX_ANSWER_DEPTH, find_json
from singletrack_worker.gpu.judging.verdict import read_answer

ANSWER = '{"kind": "button"}'
FOUND = {
    "bare": ANSWER,
    "with space": f"\n\t {ANSWER} \n",
    "a byte-order mark": f"\ufeff{ANSWER}",
    "a byte-order mark behind space": f" \ufeff\n{ANSWER}",
    "a thought": f"<think>Is it {{a}} button? [1] yes</think>\n\n{ANSWER}",
    "a mark and a thought": f"\ufeff<think></think>{ANSWER}",
    "a fence": f"```json\n{ANSWER}\n```",
    "a fence without a language": f"```\n{ANSWER}\n```\n",
    "a fence in one line": f"```{ANSWER}```",
    "a fence around many lines": '```JSON\n{\n  "kind":\n    "button"\n}\n```',
    "a fence with words": f"Here it is:\n```json\n{ANSWER}\n```\nAnything else?",
    "a fence behind a thought with a fence": f"<think>```{ANSWER}```</think>```json\n{ANSWER}\n```",
}
REFUSED = {
    "nothing": "",
    "words": "a button",
    "two in a row": f"{ANSWER}{ANSWER}",
    "two in lines": f"{ANSWER}\n{ANSWER}",
    "words before": f"It is {ANSWER}",
    "two fences": f"```json\n{ANSWER}\n```\nor\n```json\n{ANSWER}\n```",
    "two in a fence": f"```json\n{ANSWER}\n{ANSWER}\n```",
    "one in a fence and one beside it": f"{ANSWER}\n```json\n{ANSWER}\n```",
    "a thought and two": f"<think></think>{ANSWER}{ANSWER}",
    "a thought without an end": f"<think>{ANSWER}",
    "a thought alone": "<think>a</think>",
    "an open fence": f"```json\n{ANSWER}",
    "NaN": '{"confidence": NaN}',
    "Infinity": '{"confidence": Infinity}',
    "-Infinity": "[-Infinity]",
    "a number too large": '{"confidence": 1e999}',
    "NaN in a fence": "```json\n[NaN]\n```",
    "absurd digits": "1" * 10_000,
    "absurd nesting": "[" * 100_000 + "]" * 100_000,
    "deep nesting": "[" * (MAX_ANSWER_DEPTH + 1) + "]" * (MAX_ANSWER_DEPTH + 1),
}


@pytest.mark.parametrize("name", FOUND)
def test_one_value_is_found_however_it_is_wrapped(name: str) -> None:
    assert find_json(FOUND[name]) == {"kind": "button"}


@pytest.mark.parametrize("name", REFUSED)
def test_what_leaves_a_doubt_is_refused_without_a_quote(name: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        find_json(REFUSED[name])
    assert "button" not in str(refused.value)


@pytest.mark.parametrize("value", ["</think>", "```", "<think>", "``` a ```", "\ufeff", [[1.5]], None, 0])
def test_what_is_json_as_it_is_is_taken_as_it_is(value: object) -> None:
    assert find_json(json.dumps({"text": value}, ensure_ascii=False)) == {"text": value}
    assert find_json("<think>x</think>" + json.dumps([value], ensure_ascii=False)) == [value]


def test_as_deep_as_it_may_be() -> None:
    text = "[" * MAX_ANSWER_DEPTH + "]" * MAX_ANSWER_DEPTH
    assert json.dumps(find_json(text)) == text


def test_a_wrapped_answer_has_to_fit_too() -> None:
    with pytest.raises(ValueError, match="required"):
        read_answer("```json\n{}\n```", {"required": ["kind"]})

"""Votes: strangers' files are refused whole, nothing is lost, and the last word counts."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from little_experiment import run_command

from panic_hpc.analysis.comparing.arms import all_arms
from panic_hpc.errors import PanicError
from panic_hpc.store.dataset.dataset import Dataset
from panic_hpc.voting.folder import VoteLog, import_votes, read_votes, votes_folder
from panic_hpc.voting.questions import questions_on
from panic_hpc.voting.ranking import rank
from panic_hpc.voting.votes import FORMAT, latest, read_votes_file, vote_of

RUN, OTHER = "a" * 32, "b" * 32


def preference(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "preference", "voter": "Ada", "at": 100.0, "one": {"run": RUN, "step": 1},
        "other": {"run": OTHER, "step": 1}, "better": "one", **changes,
    }  # fmt: skip


def like(**changes: Any) -> dict[str, Any]:
    of = {"run": RUN, "step": 1}
    return {"kind": "like", "voter": "Ada", "at": 100.0, "of": of, "likes": True, **changes}


def comment(**changes: Any) -> dict[str, Any]:
    of = {"run": RUN, "step": 1}
    return {"kind": "comment", "voter": "Ada", "at": 100.0, "of": of, "text": "odd", **changes}


def sent(votes: list[Any], **changes: Any) -> dict[str, Any]:
    return {"format": FORMAT, "content_key": "c" * 32, "votes": votes, **changes}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ([], "table was expected"),
        (sent([], format="other"), "format"),
        (sent([], content_key="x"), "content_key"),
        (sent([preference(better="left")]), "votes[0].preference.better"),
        (sent([preference(one={"run": "../../etc", "step": 1})]), "votes[0].preference.one.run"),
        (sent([preference(one={"run": RUN, "step": -4})]), "votes[0].preference.one.step"),
        (sent([like(likes="yes")]), "votes[0].like.likes"),
        (sent([like(extra=1)]), "unknown key"),
        (sent([comment(text="x" * 2_001)]), "votes[0].comment.text"),
        (sent([comment(voter="")]), "votes[0].comment.voter"),
        (sent([{"kind": "order"}]), "votes[0]"),
        (sent([like(at=float("1e300"))]), "votes[0].like.at"),
    ],
)
def test_a_file_of_another_form_is_refused_in_one_sentence(
    tmp_path: Path, value: Any, told: str
) -> None:
    path = tmp_path / "sent.json"
    path.write_text(json.dumps(value))
    with pytest.raises(PanicError) as caught:
        read_votes_file(path)
    assert told in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_last_word_counts_whatever_order_files_come_in() -> None:
    votes = [
        vote_of(preference(at=2.0, better="other")),
        vote_of(preference(at=1.0)),
        # The same two, the other way round, is the same question.
        vote_of(preference(at=3.0, one={"run": OTHER, "step": 1}, other={"run": RUN, "step": 1})),
        vote_of(preference(at=1.5, voter="Bo")),
        vote_of(like(at=1.0)),
        vote_of(like(at=2.0, likes=None)),
        vote_of(comment(at=1.0)),
        vote_of(comment(at=2.0, text=" ")),
    ]
    kept = latest(votes)
    assert kept == latest(votes[::-1])
    assert [(vote.voter, vote.at) for vote in kept] == [("Bo", 1.5), ("Ada", 3.0)]


def test_a_file_that_is_imported_twice_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "sent.json"
    path.write_text(json.dumps(sent([preference(), like(), comment(text="\u2028 x")])))
    assert import_votes(tmp_path / "votes", read_votes_file(path))
    assert not import_votes(tmp_path / "votes", read_votes_file(path))
    assert len(read_votes(tmp_path / "votes").votes) == 3


WRITER = """
import sys
from pathlib import Path
from panic_hpc.voting.folder import VoteLog
from panic_hpc.voting.votes import Like, OutputId
with VoteLog(Path(sys.argv[1])) as log:
    for k in range(200):
        of = OutputId(run="%032x" % k, step=0)
        log.add(Like(voter=sys.argv[2], at=1.0, of=of, likes=True))
        print(k, flush=True)
"""


def test_two_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), name], stdout=subprocess.PIPE
        )
        for name in ("Ada", "Bo")
    ]
    assert all(len(one.communicate()[0].split()) == 200 for one in started)
    votes = read_votes(tmp_path).votes
    assert len({vote.about for vote in votes}) == 400


def test_what_was_called_kept_survives_a_killed_writer(tmp_path: Path) -> None:
    words = [sys.executable, "-c", WRITER, str(tmp_path), "Ada"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        told = [int(writer.stdout.readline()) for _ in range(50)]
        writer.kill()
    assert len(read_votes(tmp_path).votes) >= len(told)


def test_a_torn_last_line_is_left_out_and_told(tmp_path: Path) -> None:
    with VoteLog(tmp_path) as log:
        log.add(vote_of(like()))
    with log.path.open("ab") as stream:
        stream.write(b'{"kind":"like","vo')
    found = read_votes(tmp_path)
    assert len(found.votes) == 1
    assert found.cut_files == [log.path]


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    with VoteLog(tmp_path) as log:
        log.add(vote_of(like()))
    log.path.write_bytes(b"[NaN]\n" + log.path.read_bytes())
    with pytest.raises(PanicError, match="line 1, is no vote"):
        read_votes(tmp_path)


def test_questions_show_all_pairs_of_arms_alike_and_prompts_in_turn(dataset: Dataset) -> None:
    found = questions_on(all_arms([dataset]), 100)
    assert len(found) == 16
    assert len({question.prompt for question in found[:8]}) == 8
    networks = dataset.runs()["network"].to_list()
    sides = [tuple(networks[one.row] for one in question.outputs) for question in found]
    assert set(sides) == {(0, 1), (1, 0)}, "sides are by chance"
    for question in found:
        rows = [dataset.runs().row(one.row, named=True) for one in question.outputs]
        assert rows[0]["seed"] == rows[1]["seed"]
        assert rows[0]["prompt"] == rows[1]["prompt"]
    assert questions_on(all_arms([dataset]), 100) != questions_on(all_arms([dataset]), 100, seed=1)
    assert len(questions_on(all_arms([dataset]), 5)) == 5


def test_one_arm_is_shown_an_output_at_a_time(dataset: Dataset) -> None:
    found = questions_on(all_arms([dataset])[:1], 4)
    assert [len(question.outputs) for question in found] == [1] * 4


def voted(dataset: Dataset, voter: str, better: int) -> list[Any]:
    """Return the votes of who always prefers one network."""
    networks = dataset.runs()["network"].to_list()
    return [
        vote_of(preference(
            voter=voter, one=one.of.model_dump(), other=other.of.model_dump(),
            better="one" if networks[one.row] == better else "other",
        ))
        for one, other in (q.outputs for q in questions_on(all_arms([dataset]), 100))
    ]  # fmt: skip


def test_votes_become_ranks(dataset: Dataset) -> None:
    arms = all_arms([dataset])
    votes = [*voted(dataset, "Ada", 1), *voted(dataset, "Bo", 1), *voted(dataset, "Cy", 0)]
    found = rank(arms, [*votes, vote_of(like())])
    assert [arm.name for arm in found.arms] == [arms[1].name, arms[0].name]
    assert found.arms[0].strength.share == pytest.approx(2 / 3, abs=0.01)
    assert (found.n_preferences, found.n_voters, found.n_foreign) == (48, 3, 1)
    assert found.notes == ("Intervals are over prompts: they hold for 3 voters alone",)
    alone = rank(arms, voted(dataset, "Ada", 1))
    assert any("nothing bounds its strength" in note for note in alone.notes)
    assert alone.arms[0].strength.low < 0.9


def test_likes_and_comments_belong_to_arms(dataset: Dataset) -> None:
    arms = all_arms([dataset])
    shown = questions_on(arms[:1], 8)
    votes = [
        vote_of(like(of=question.outputs[0].of.model_dump(), likes=k != 0))
        for k, question in enumerate(shown)
    ]
    votes.append(vote_of(comment(of=shown[0].outputs[0].of.model_dump(), text="<b>grey</b>")))
    found = {arm.name: arm for arm in rank(arms, votes).arms}[arms[0].name]
    assert (found.liking.n_likes, found.liking.n, found.n_comments) == (7, 8, 1)
    assert found.liking.low < 7 / 8 < found.liking.high
    assert np.isnan(found.strength.share)


def test_the_verb_writes_a_page_imports_and_ranks(voted_path: Path, tmp_path: Path) -> None:
    source = tmp_path / "D.h5"
    os.link(voted_path, source)
    page = tmp_path / "vote.html"
    assert str(page) in run_command("vote", source, "--page", page)
    assert "would be replaced" in run_command("vote", source, "--page", page, code=1)
    with Dataset(source) as opened:
        votes = [vote.model_dump(mode="json") for vote in voted(opened, "Ada", 1)]
        content_key = opened.content_key
    answers = tmp_path / "votes-Ada.json"
    answers.write_text(json.dumps(sent(votes, content_key=content_key)))
    assert "No votes yet" in run_command("vote", source)
    told = run_command("vote", source, "--import", answers)
    assert "16 votes" in told
    assert "16 comparisons (0 for neither) by 1 voter" in told
    assert "imported before" in run_command("vote", source, "--import", answers)
    found = json.loads(run_command("vote", source, "--json"))
    assert [arm["strength"]["best_rank"] for arm in found["arms"]] == [1, 2]
    assert votes_folder(source) == tmp_path / "D.votes"

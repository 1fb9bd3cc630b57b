"""Whole imports into real stores: counts add up, nothing is added twice, and what fails leaves the store sound."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from visavis.config import Settings, load_settings
from visavis.errors import InvalidInput, NotFound, StoreUnwritable
from visavis.identify import storing
from visavis.identify.importing import import_file
from visavis.live import Live
from visavis.live.catalog import to_row
from visavis.model import ImportReport, Item, Progress
from visavis.plugin import Registry
from visavis.store import Operation, Store
from visavis.store.loading import Loaded

DATA = Path(os.environ.get("VISAVIS_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
HEAD = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID\n"
SALES = HEAD + (
    "1,A1,RED MUG,6,2010-12-01 08:26,2.55,00017\n"
    "1,A1,RED MUG,6,2010-12-01 08:26,2.55,00017\n"
    "1,B2,BLUE MUG,1,2010-12-01 08:26,3.00,00017\n"
    "2,A1,,2,2010-12-02 09:00,2.60,\n"
    "C3,A1,RED MUG,-7,2010-12-03 10:00,2.55,00017\n"
    "4,A1,RED MUG,x,2010-12-04 10:00,2.55,00018\n"
)


@dataclass
class Shop:
    store: Store
    live: Live
    settings: Settings

    def load(self, path: Path, **options: Any) -> ImportReport:
        report = import_file(self.store, self.live, self.settings, path, **options)
        taken = report.interactions + report.returns + report.without_customer
        assert report.rows == taken + report.already_known + report.rejected
        assert sum(report.rejected_by_reason.values()) == report.rejected
        return report

    def select(self, columns: str) -> list[tuple[Any, ...]]:
        with self.store.cursor() as cursor:
            return cursor.execute(f"SELECT {columns} FROM interactions ORDER BY rowid").fetchall()

    def owner_of(self, customer: str) -> int:
        return self.live.identities.find(customer).customer

    def history(self, customer: str) -> list[tuple[str, float]]:
        """Item and quantity of each row that is no return."""
        codes = np.array([self.owner_of(customer)], dtype=np.int32)
        rows = self.live.histories.of(codes, [customer], self.live.kinds.names, 0)
        kept = ~rows.is_kind("return")
        ids = self.live.catalog.ids.texts
        pairs = zip(rows.item[kept].tolist(), rows.quantity[kept].tolist(), strict=True)
        return [(ids[item], quantity) for item, quantity in pairs]


@contextmanager
def open_shop(folder: Path) -> Iterator[Shop]:
    settings = load_settings({"currency": "GBP", "time_zone": "Europe/London"}, environ={})
    registry = Registry.load(plugins_dir=None, disabled=frozenset(), options={}, entry_points=False)
    with Store.open(folder / "shop.duckdb", settings) as store:
        yield Shop(store, Live(store, registry), settings)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with open_shop(tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop with the sales in it, shared by the tests in which nothing may be stored."""
    folder = tmp_path_factory.mktemp("unchanged")
    (folder / "sales.csv").write_text(SALES)
    with open_shop(folder) as opened:
        opened.load(folder / "sales.csv")
        yield opened


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    path = tmp_path / "sales.csv"
    path.write_text(SALES)
    return path


def test_what_became_of_each_row(shop: Shop, sales: Path) -> None:
    steps: list[Progress] = []
    report = shop.load(sales, progress=steps.append)
    assert (report.source, report.rows, report.interactions, report.returns) == ("sales.csv", 6, 3, 1)
    assert (report.without_customer, report.already_known, report.rejected) == (1, 0, 1)
    assert (report.new_customers, report.new_items, report.returns_linked) == (1, 2, 1)
    assert report.columns["customer"] == "CustomerID"
    assert set(report.guessed) == set(report.columns)
    assert report.rejected_by_reason == {"quantity is not a number up to 1e9": 1}
    assert [(s.row, s.field, s.value) for s in report.samples] == [(6, "Quantity", "x")]
    told = dict.fromkeys(step.step for step in steps)
    now_and_then = {"compare", "list", "ids", "returns"}  # told of where they take long
    assert [step for step in told if step not in now_and_then] == ["read", "check", "store", "build"]
    assert (steps[-1].done, steps[-1].total) == (5, 5)
    assert shop.select("identity_code, quantity, amount_minor, currency, order_id, source") == [
        (0, 6.0, 1530, "GBP", "1", "sales.csv"),
        (0, 6.0, 1530, "GBP", "1", "sales.csv"),
        (0, 1.0, 300, "GBP", "1", "sales.csv"),
        (-1, 2.0, 520, "GBP", "2", "sales.csv"),
        (0, 7.0, 1785, "GBP", "C3", "sales.csv"),
    ]


def test_memory_knows_what_was_imported(shop: Shop, sales: Path) -> None:
    shop.load(sales)
    assert shop.owner_of("00017") == 0
    assert shop.owner_of("00018") == -1, "a refused row makes no customer"
    bought = [quantity for item, quantity in shop.history("00017") if item == "A1"]
    assert sum(bought) == 5, "twelve bought in two rows, seven brought back"
    item = shop.live.catalog.row(shop.live.catalog.ids.find("A1"))
    assert (item.name, item.price_minor, item.currency) == ("RED MUG", 260, "GBP")


def test_an_import_interrupted_between_a_commit_and_its_count_reaches_memory(
    shop: Shop, sales: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shop.store.writer.run

    def interrupt(operation: Any) -> Any:
        answer = run(operation)
        if isinstance(answer, Loaded):
            raise KeyboardInterrupt
        return answer

    monkeypatch.setattr(shop.store.writer, "run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        shop.load(sales)
    assert len(shop.select("rowid")) == 5
    assert shop.history("00017") != []


def test_memory_that_could_not_be_brought_up_to_date_is_by_the_next_import(
    shop: Shop, sales: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fall(*_: Any) -> None:
        raise MemoryError

    with monkeypatch.context() as broken:
        broken.setattr(shop.live, "build", fall)
        with pytest.raises(MemoryError):
            shop.load(sales)
    assert shop.history("00017") == []
    assert shop.load(sales).already_known == 5
    assert shop.history("00017") != []


def test_a_return_names_the_purchase_it_takes_back(shop: Shop, sales: Path) -> None:
    shop.load(sales)
    rows = shop.select("interaction_id, reverses_id")
    assert [reverses for _, reverses in rows[:4]] == [None] * 4
    assert rows[4][1] in {rows[0][0], rows[1][0]}


def test_a_return_in_a_later_file_finds_the_purchase_in_the_store(shop: Shop, sales: Path, tmp_path: Path) -> None:
    shop.load(sales)
    later = tmp_path / "later.csv"
    later.write_text(HEAD + "9,Z,ZED,1,2010-12-09,1,00017\nC8,B2,,-1,2010-12-08 10:00,3.00,00017\n")
    report = shop.load(later)
    assert (report.returns, report.returns_linked) == (1, 1)
    bought = shop.select("interaction_id")[2][0]
    assert shop.select("reverses_id")[-1] == (bought,)


def test_importing_again_adds_nothing(shop: Shop, sales: Path) -> None:
    first = shop.load(sales)
    before, mark = shop.select("*"), shop.store.mark
    again = shop.load(sales)
    assert shop.store.mark == mark, "where nothing is new, nothing is committed"
    assert (again.already_known, again.rejected) == (5, 1)
    assert (again.new_customers, again.new_items, again.returns_linked) == (0, 0, 0)
    assert shop.select("*") == before
    sales.write_text(SALES + "1,A1,RED MUG,6,2010-12-01 08:26,2.55,00017\n5,C9,CUP,1,2010-12-05,1,00019\n")
    grown = shop.load(sales)
    assert (grown.rows, grown.already_known, grown.interactions) == (first.rows + 2, 5, 2)
    other = shop.load(sales, source="another till")
    assert other.already_known == 0, "the source is part of a row's id"


def test_a_file_that_grew_by_a_column_adds_only_its_new_rows(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "sales.jsonl"
    old = '{"item": "a", "time": "2020-01-01", "customer": "c"}\n{"item": "b", "time": "2020-01-02", "customer": "c"}\n'
    file.write_text(old)
    assert shop.load(file).interactions == 2
    file.write_text('{"customer": "d", "shop": "x", "time": "2020-01-03", "item": "a"}\n' + old)
    report = shop.load(file)
    assert (report.interactions, report.already_known) == (1, 2)


@pytest.mark.skipif(os.name == "nt", reason="file names are texts there")
def test_a_name_that_is_no_text_is_a_source_with_escapes(shop: Shop, tmp_path: Path) -> None:
    file = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.csv"))
    file.write_text(SALES)
    assert shop.load(file).source == "caf\\xe9.csv"


def test_objects_are_no_ids_in_json_but_may_be_texts(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    rest = '"time": "2020-01-01", "customer_id": "c"}\n'
    file.write_text(f'{{"item": "i", "name": ["a"], {rest}{{"item": {{"x": 1}}, {rest}{{"item": [1], {rest}{{"item":\n')
    report = shop.load(file)
    assert [(sample.row, sample.reason, sample.value) for sample in report.samples] == [
        (2, "item is an object or a list, not a text", '{"x":1}'),
        (3, "item is an object or a list, not a text", "[1]"),
        (4, "line is no JSON object", '{"item":'),
    ]
    with shop.store.cursor() as cursor:
        assert cursor.execute("SELECT item_id, name FROM items").fetchall() == [("i", '["a"]')]
    assert "\x1f" not in Path(report.rejects_path).read_text()


def test_own_ids_hold_across_files(shop: Shop, tmp_path: Path) -> None:
    head = "event,sku,date\n"
    (tmp_path / "a.csv").write_text(head + "x,s,2020-01-01\nx,s,2020-01-01\ny,s,2020-01-02\n")
    (tmp_path / "b.csv").write_text(head + "y,s,2020-01-02\nz,s,2020-01-03\n")
    first = shop.load(tmp_path / "a.csv", columns={"id": "event", "kind": ""})
    second = shop.load(tmp_path / "b.csv", columns={"id": "event", "kind": ""})
    assert (first.without_customer, first.already_known) == (2, 1)
    assert (second.without_customer, second.already_known) == (1, 1)
    assert shop.select("interaction_id") == [("x",), ("y",), ("z",)]


def test_recorded_ids_are_known_to_imports_and_the_other_way_round(shop: Shop, tmp_path: Path) -> None:
    shop.live.known_ids.warm_up()
    (tmp_path / "a.csv").write_text("event,sku,date\nx,s,2020-01-01\n")
    shop.load(tmp_path / "a.csv", columns={"id": "event", "kind": ""})
    hashes = np.array([row[0] for row in shop.select("id_hash")], dtype=np.uint64)
    new = shop.store.writer.run(Operation(lambda tx: shop.live.known_ids.is_new(tx, ["x"], hashes)))
    assert not new.any()


def test_the_catalogue_is_completed_never_overwritten(shop: Shop, sales: Path) -> None:
    def put(tx: Any) -> None:
        (code,) = shop.live.catalog.encode(tx, ["A1"], 0)
        shop.live.catalog.replace(tx, [to_row(int(code), Item("A1", name="Mug, red", category="mugs"))], 0)

    shop.store.writer.run(Operation(put))
    shop.load(sales)
    item = shop.live.catalog.row(shop.live.catalog.ids.find("A1"))
    assert (item.name, item.category, item.price_minor) == ("Mug, red", "mugs", 260)


def test_refused_rows_are_written_with_their_reasons(shop: Shop, tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_text(SALES.replace("1,B2,BLUE MUG,1,", "1,B2\n1,B2,BLUE MUG,0,"))
    report = shop.load(path, rejects_path=tmp_path / "out" / "refused.csv")
    assert report.rejects_path == str(tmp_path / "out" / "refused.csv")
    with Path(report.rejects_path).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["row"], row["reason"], row["field"], row["value"], row["StockCode"]) for row in rows] == [
        ("3", "record has too few fields", "", "1,B2", ""),
        ("4", "quantity is zero", "Quantity", "0", "B2"),
        ("7", "quantity is not a number up to 1e9", "Quantity", "x", "A1"),
    ]
    default = shop.load(path)
    assert Path(default.rejects_path).parent == shop.store.folder / "rejects"


@pytest.mark.parametrize("there", [False, True])
def test_the_file_of_rejects_is_for_its_owner_only(shop: Shop, sales: Path, tmp_path: Path, there: bool) -> None:
    target = tmp_path / "rejects.csv"
    if there:
        target.write_text("old\n" * 1000)
        target.chmod(0o644)
    shop.load(sales, rejects_path=target)
    assert target.stat().st_mode & 0o777 == 0o600
    assert "old" not in target.read_text()


def test_a_value_that_is_no_time_is_shown(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("item,time\na,week 3\nb,week 3\n")
    with pytest.raises(InvalidInput, match="'time' holds values that are not understood as time, such as 'week 3'"):
        shop.load(tmp_path / "a.csv")


def test_a_file_of_broken_records_only_is_told(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('item,time\n"a,2020-01-01\n"b,2020-01-01\n')
    with pytest.raises(InvalidInput, match="holds no record that can be read; row 1: a quoted field does not end"):
        shop.load(tmp_path / "a.csv")


def test_no_file_of_rejects_without_rejects(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("sku,date\ns,2020-01-01\n")
    assert shop.load(tmp_path / "a.csv").rejects_path == ""
    assert not (shop.store.folder / "rejects").exists()


def test_rejects_that_cannot_be_written_stop_the_import_before_it_stores(
    shop: Shop, sales: Path, tmp_path: Path
) -> None:
    with pytest.raises(StoreUnwritable, match="refused rows cannot be written"):
        shop.load(sales, rejects_path=sales / "refused.csv")
    assert shop.select("1") == []


def test_an_import_that_breaks_off_is_completed_by_the_next(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "many.csv"
    path.write_text("customer,sku,date\n" + "".join(f"c{n % 7},s{n % 5},2020-01-01\n" for n in range(100)))
    monkeypatch.setattr(storing, "CHUNK_ROWS", 30)
    monkeypatch.setattr(storing, "ENCODE_IDS", 3)

    def break_off(progress: Progress) -> None:
        if progress.step == "store" and progress.done == 60:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        shop.load(path, progress=break_off)
    assert len(shop.select("1")) == 60
    assert sum(len(shop.history(f"c{n}")) for n in range(7)) == 60, "memory agrees with the file"
    rest = shop.load(path)
    assert (rest.already_known, rest.interactions, rest.new_customers) == (60, 40, 0)
    expected = [f"s{n % 5}" for n in range(100)]
    ids = shop.live.catalog.ids.texts
    assert [ids[code] for (code,) in shop.select("item_code")] == expected, "rows stand in the order of the file"


def test_two_imports_at_once(shop: Shop, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text(
            "customer,sku,date\n" + "".join(f"c{n % 50},{name}{n % 20},2020-01-01\n" for n in range(500))
        )
    (tmp_path / "same").mkdir()
    (tmp_path / "same" / "a.csv").write_bytes((tmp_path / "a.csv").read_bytes())
    files = [tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "same" / "a.csv"]
    with ThreadPoolExecutor(3) as pool:
        reports = list(pool.map(shop.load, files))
    assert sum(report.interactions for report in reports) == len(shop.select("1")) == 1000
    assert sum(report.already_known for report in reports) == 500
    assert sum(report.new_customers for report in reports) == 50


def test_a_file_without_customers_is_told(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("sku,date\ns,2020-01-01\n")
    assert any("--customer" in note for note in shop.load(tmp_path / "a.csv").notes)
    assert shop.load(tmp_path / "a.csv", columns={"customer": ""}).notes == ()


def test_kind_currency_and_zone_are_values_or_columns(shop: Shop, tmp_path: Path) -> None:
    path = tmp_path / "visits.csv"
    path.write_text(
        "wer,was,wann,preis,waehrung,tat,ort\n"
        "u,a,2024-07-01 12:00,150,JPY,purchase,Asia/Tokyo\n"
        "u,b,2024-07-01 12:00,1.50,GBP,cart,Europe/London\n"
    )
    columns = {"customer": "wer", "item": "was", "time": "wann", "price": "preis"}
    shop.load(path, columns=columns, kind="tat", currency="waehrung", time_zone="ort")
    assert shop.select("amount_minor, currency, hour(occurred_at)") == [(150, "JPY", 3), (150, "GBP", 11)]
    assert shop.live.kinds.names == ["purchase", "cart"]

    shop.load(path, columns=columns, kind="view", currency="EUR", time_zone="UTC", source="again")
    assert shop.select("amount_minor, currency, hour(occurred_at)")[2:] == [(15000, "EUR", 12), (150, "EUR", 12)]
    assert shop.live.kinds.names == ["purchase", "cart", "view"]


def test_too_many_kinds_store_nothing(shop: Shop, tmp_path: Path) -> None:
    rows = "".join(f"c{n},s,2020-01-01,kind_{n}\n" for n in range(1100))
    (tmp_path / "a.csv").write_text("customer,sku,date,what\n" + rows)
    with pytest.raises(InvalidInput, match=r"what.*1,100 kinds, such as 'kind_0'.*1,024.*--kind purchase"):
        shop.load(tmp_path / "a.csv", columns={"kind": "what"})
    assert (len(shop.live.identities.customers), shop.live.kinds.names) == (0, [])


def test_progress_that_raises_ends_the_import(shop: Shop, sales: Path) -> None:
    def give_up(progress: Progress) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        shop.load(sales, progress=give_up)
    assert (shop.select("1"), list((shop.store.folder / "imports").iterdir())) == ([], [])


def test_a_disk_about_to_be_full_ends_the_import(shop: Shop, sales: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visavis.store.room.ROOM_BYTES", 1 << 62)
    with pytest.raises(StoreUnwritable, match="are kept for the store; free some space"):
        shop.load(sales)
    assert shop.select("1") == []


def test_rows_recorded_by_others_while_chunks_are_stored_are_known(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("event,sku,date\n" + "".join(f"e{n},s,2020-01-01\n" for n in range(100)))
    monkeypatch.setattr(storing, "CHUNK_ROWS", 30)
    options: dict[str, Any] = {"columns": {"id": "event", "kind": ""}}
    others: list[ImportReport] = []

    def meanwhile(progress: Progress) -> None:
        if progress.step == "store" and progress.done == 30 and not others:
            others.append(shop.load(path, source="another", **options))

    report = shop.load(path, progress=meanwhile, **options)
    assert (report.without_customer, report.already_known) == (30, 70)
    assert (others[0].without_customer, others[0].already_known) == (70, 30)
    assert len(set(shop.select("interaction_id"))) == len(shop.select("1")) == 100


def test_ratings_are_ratings(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,31,2.5,1260759144\n")
    report = shop.load(tmp_path / "ratings.csv")
    assert "ratings" in report.notes[0]
    assert shop.select("rating, currency, epoch(occurred_at)::BIGINT") == [(2.5, None, 1260759144)]
    assert shop.live.kinds.names == ["rating"]


def test_ratings_keep_the_rules_of_ratings(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "customer,sku,date,event,stars\nu,a,2020-01-01,rating,\nu,a,2020-01-01,rating,5e9\nu,a,2020-01-01,view,3\n"
        "u,a,2020-01-01,rating,4\nu,a,2020-01-01,view,\n"
    )
    report = shop.load(tmp_path / "a.csv")
    assert [(sample.row, sample.field) for sample in report.samples] == [(1, "stars"), (2, "stars"), (3, "stars")]
    assert shop.select("rating") == [(4.0,), (None,)]


def test_a_guessed_rating_beside_sales_is_left_alone(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("customer,sku,date,price,stars\nu,a,2020-01-01,3,4.5\n")
    report = shop.load(tmp_path / "a.csv")
    assert (report.interactions, "rating" in report.columns, "rating" in report.guessed) == (1, False, False)
    assert any("stars was not taken for the rating" in note for note in report.notes)
    named = shop.load(tmp_path / "a.csv", columns={"rating": "stars"}, source="named")
    assert named.rejected_by_reason == {"rating belongs to the kind rating only": 1}
    assert shop.load(tmp_path / "a.csv", kind="rating", source="ratings").interactions == 1


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"currency": "pounds"}, "currency"),
        ({"time_zone": "Mars/Base"}, "time_zone"),
        ({"kind": "Kauf!"}, "kind"),
        ({"format": "xlsx"}, "format"),
        ({"delimiter": ";;"}, "delimiter"),
        ({"source": "x" * 300}, "source"),
        ({"columns": {"item": "nope"}}, "columns['item']"),
    ],
)
def test_wrong_options_are_named(unchanged: Shop, sales: Path, options: dict[str, Any], field: str) -> None:
    mark = unchanged.store.mark
    with pytest.raises(InvalidInput) as caught:
        unchanged.load(sales, **options)
    assert [violation.field for violation in caught.value.violations] == [field]
    assert (unchanged.store.mark, list((unchanged.store.folder / "imports").glob("*"))) == (mark, [])


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda path: None, NotFound),
        (lambda path: path.mkdir(), InvalidInput),
        (lambda path: path.write_bytes(b""), InvalidInput),
        (lambda path: path.write_bytes(b"PAR1" + bytes(999)), InvalidInput),
        (lambda path: path.write_bytes(np.random.default_rng(1).bytes(5000)), InvalidInput),
    ],
)
def test_unusable_files_leave_the_store_as_it_was(
    unchanged: Shop, sales: Path, tmp_path: Path, make: Callable[[Path], object], error: type[Exception]
) -> None:
    before = (unchanged.select("*"), unchanged.store.mark)
    make(tmp_path / "strange.csv")
    with pytest.raises(error) as caught:
        unchanged.load(tmp_path / "strange.csv")
    assert "\n" not in str(caught.value)
    assert (unchanged.select("*"), unchanged.store.mark) == before
    assert unchanged.load(sales).already_known == 5


@pytest.mark.skipif(not DATA.is_dir(), reason="no public data: set VISAVIS_TEST_DATA to its folder")
@pytest.mark.parametrize(
    ("file", "columns", "expected"),
    [
        # rows, interactions, returns, without customer, rejected
        pytest.param(
            "online_retail_ii/transactions_2009_2010.parquet",
            {},
            (525_461, 407_695, 9_839, 107_924, 3),
            marks=pytest.mark.slow,
        ),
        ("complete_journey/transactions_sample.parquet", {}, (84_463, 83_996, 0, 0, 467)),
        ("cdnow/purchases.parquet", {"item": ""}, (69_659, 69_659, 0, 0, 0)),
    ],
)
def test_public_files(shop: Shop, file: str, columns: dict[str, str], expected: tuple[int, ...]) -> None:
    report = shop.load(DATA / file, columns=columns)
    counts = (report.rows, report.interactions, report.returns, report.without_customer, report.rejected)
    assert counts == expected
    assert set(report.columns) >= {"customer", "time", "quantity"}
    if "online_retail" in file:
        assert report.interactions + report.returns == 417_534, "every row that names a customer"
        assert report.returns_linked > 0.8 * report.returns
    if "cdnow" in file:  # the larger files once more would tell no more
        again = shop.load(DATA / file, columns=columns)
        assert again.already_known == report.rows - report.rejected

"""Reading LUNA16's annotations.csv."""

from srgan.dataset import annotations

HEAD = "seriesuid,coordX,coordY,coordZ,diameter_mm\n"


def test_rows_that_cannot_be_used_are_counted():
    rows = ["a,1,2,3,4.5", "a,1,2,3,4.5", "a,x,2,3,5", "a,1,2", "b,1,nan,3,5", "b,1,2,3,2.9", ""]
    text = HEAD + "\r\n".join(rows) + "\nb,1,2,3,1e9\n"
    found, left_out = annotations.read(b"\xef\xbb\xbf" + text.encode())
    assert found == [annotations.Annotation("a", (1.0, 2.0, 3.0), 4.5)]
    assert left_out == {"listed twice": 1, "without numbers": 4, "under 3 mm": 1}

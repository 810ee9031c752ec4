"""SQL that folds what all runs say of an image into one rating, one state, and the last word of each rater.

A transaction notes the images that it touches in the table `touched`; only theirs are folded again.
"""

from typing import Final

from stablenew.index.index_schema import OPINION_TABLES, PLACE

TOUCHED: Final = """
CREATE TEMP TABLE touched(id INTEGER PRIMARY KEY, picture INTEGER);
CREATE INDEX temp.touched_picture ON touched(picture);
"""


def _mark_latest(mark: str, at: str, value: str) -> tuple[str, str]:
    """The statements that mark what each rater said last of each touched image, in whichever run.

    Touched images are few. Named twice, SQLite looks their opinions up instead of going through all that there are, be
    it only for a Bloom filter.
    """
    return (
        f"UPDATE opinion SET {mark} = 0 WHERE {mark} AND image IN (SELECT id FROM touched)",
        f"""
        UPDATE opinion SET {mark} = 1 WHERE image IN (SELECT id FROM touched) AND (run, image, rater) IN (
          SELECT run, image, rater FROM (
            SELECT run, image, rater, row_number() OVER (
              PARTITION BY picture, rater ORDER BY {at} DESC, {value} DESC, run DESC) AS place
            FROM opinion CROSS JOIN touched ON touched.id = opinion.image
            WHERE opinion.image IN (SELECT id FROM touched) AND {at} IS NOT NULL)
          WHERE place = 1)
        """,
    )


def _mark_latest_word(table: str, owner: str) -> tuple[str, str]:
    """The same of what has a name: tags, which belong to an `image`, and notes, which belong to a `picture`."""
    return (
        f"UPDATE {table} SET is_latest = 0 WHERE is_latest AND image IN (SELECT id FROM touched)",
        f"""
        UPDATE {table} SET is_latest = 1 WHERE image IN (SELECT id FROM touched) AND (run, image, rater, name) IN (
          SELECT run, image, rater, name FROM (
            SELECT run, image, rater, name, row_number() OVER (
              PARTITION BY {owner}, rater, name ORDER BY clock DESC, run DESC) AS place
            FROM {table} CROSS JOIN touched ON touched.id = {table}.image
            WHERE {table}.image IN (SELECT id FROM touched))
          WHERE place = 1)
        """,
    )


FOLD_TOUCHED: Final = (
    # What is said of one file of a picture is said of all of them.
    "UPDATE touched SET picture = coalesce((SELECT picture FROM image WHERE image.id = touched.id), id)",
    """
    INSERT OR IGNORE INTO touched(id, picture)
    SELECT image.id, image.picture FROM touched JOIN image ON image.picture = touched.picture
    """,
    "INSERT OR IGNORE INTO touched(id, picture) SELECT DISTINCT picture, picture FROM touched",
    *_mark_latest("is_latest", "rated_at", "rating"),
    *_mark_latest("is_flag_latest", "flagged_at", "flag"),
    *_mark_latest_word("tag", "image"),
    *_mark_latest_word("note", "picture"),
    """
    UPDATE image SET (rating, rater_count) = (
      SELECT avg(opinion.rating), nullif(count(opinion.rating), 0) FROM touched
      JOIN touched AS copy ON copy.picture = touched.picture JOIN opinion ON opinion.image = copy.id
      WHERE touched.id = image.id AND is_latest)
    WHERE id IN (SELECT id FROM touched)
    """,
    """
    UPDATE image SET is_trashed = (
      SELECT is_in FROM touched JOIN touched AS copy ON copy.picture = touched.picture
      JOIN trash ON trash.image = copy.id WHERE touched.id = image.id ORDER BY clock DESC, is_in DESC LIMIT 1)
    WHERE id IN (SELECT id FROM touched)
    """,
)
"""The statements that bring the folded opinions of touched images up to date, in order."""
DELETE_UNUSED: Final = (
    "DELETE FROM image WHERE id IN (SELECT id FROM touched) "
    "AND NOT EXISTS (SELECT 1 FROM image AS copy WHERE copy.picture = image.id) "
) + " ".join(
    f"AND NOT EXISTS (SELECT 1 FROM {table.name} WHERE {table.name}.{column} = image.id)"
    for table in (PLACE, *OPINION_TABLES)
    for column in table.image_columns
)
"""Deletes those touched images that nothing refers to any more."""

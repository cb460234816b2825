"""Cross-validation: the records of a fold's training and validation clips, and the tables that all folds give."""

from first_impression.data import record_reader
from first_impression.evaluation import folds, predictions


def parts(records, fold, sources, seed):
    """(all `records` but those of the fold "3/10", those of it): two parts of a `RecordSet` with names of clips.

    `sources` and `seed` are as in `folds.deal`. Raises `UserError` as that does.
    """
    number, count = map(int, fold.split("/"))
    fold_of = folds.deal(records.labels, count, sources, seed)
    held_out = {clip for clip, own in fold_of.items() if own == number - 1}
    kept, known = records.labels.keys() - held_out, record_reader.read_names(records)
    return tuple(record_reader.restricted(records, known, clips) for clips in (kept, held_out))


def write_tables(folder, fold, answers, constant, targets):
    """Write the answers to each clip, {clip: [targets]}, of the model that did not see it, and the constant guess.

    `fold` is "all/10". Prints where they are.
    """
    ending, tables = f"{fold.partition('/')[2]}-folds.csv", []
    for name, table in (("predictions", answers), ("constant", constant)):
        tables.append(folder / f"{name}_{ending}")
        predictions.write_csv(tables[-1], table, targets)
    print(f"{tables[0]}: {len(answers)} clips, each answered by the model that saw none of its source")
    print(f"  beside the constant guess: evaluate.py --SPLIT training --PREDICTIONS {','.join(map(str, tables))}")

"""The parts of the page as HTML, made from the JSON that docs/answers.md describes: one room for each part."""

import numpy as np

from onehead_avl.report.page.charts import confusion_figure, precision_recall_figure


def test_each_class_has_a_curve_with_its_mean():
    figure = precision_recall_figure({"cat": [1.0, 0.5, 0.0], "dog": [0.2] * 5}, "det")
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == ["cat, 0.500", "dog, 0.200"]
    assert shown[0].lines[0].get_xydata().tolist() == [[0, 1], [0.5, 0.5], [1, 0]]


def test_classes_that_are_no_multiple_of_a_row_leave_places_empty():
    figure = precision_recall_figure({f"class {i}": [i / 10] * 3 for i in range(10)}, "det")
    assert sum(axes.get_visible() for axes in figure.axes) == 10


def test_a_row_of_a_confusion_matrix_is_the_shares_of_an_annotated_class():
    (axes,) = confusion_figure([[3, 1], [0, 0]], ["cat", "dog"], "cls").axes
    (image,) = axes.images
    shares = np.ma.filled(image.get_array(), np.nan)
    assert shares[0].tolist() == [0.75, 0.25]
    assert np.isnan(shares[1]).all()
    assert [text.get_text() for text in axes.texts] == ["75%", "25%"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog"]


def test_many_classes_have_colours_alone():
    (axes,) = confusion_figure(np.eye(30, dtype=int).tolist(), [str(i) for i in range(30)], "cls").axes
    assert len(axes.texts) == 0

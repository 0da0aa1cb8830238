"""Coursework beside the notebooks: exercises whose solutions are their source, a grader that fences submissions in, a
challenge for a class, and quizzes on a run."""

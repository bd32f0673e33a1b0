"""The demo: a made-up stream that knows the answer, and the stage that shows the whole path live."""

"""What changed, and the open pages that wait to hear of it: one small table, one signal per transaction, many streams."""

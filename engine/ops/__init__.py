"""Small pure functions on tensors: boxes, anchors, matching, patches, masks, averages, Gram matrices, schedules."""

"""Arrays in, arrays out: defects, filters, resampling, segments, beats, quality, heart rate. Time is the last axis."""

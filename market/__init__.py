"""The market, pure: events, symbols, order book, the one feature kernel, labels, simulator. Imports none of ours."""

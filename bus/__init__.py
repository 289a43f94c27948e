"""Redis Streams: names, messages, client. May import market. The only importer of redis."""

"""The market side of the fake exchange: Binance USD-M and Bybit v5 linear, REST snapshots and websockets."""

import json
from typing import Any

from aiohttp import WSMsgType, web

from tests.fake_exchange.state import FakeBook, FakeSocket, State

STATE = web.AppKey("state", State)


def routes() -> list[web.RouteDef]:
    """The routes of both venues."""
    return [
        web.get("/fapi/v1/depth", _binance_depth),
        web.get("/public/stream", _binance_socket),
        web.get("/market/stream", _binance_socket),
        web.get("/v5/public/linear", _bybit_socket),
    ]


async def step(state: State, symbol: str, bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> None:
    """Change a book and tell everyone who listens, unless a fault is due."""
    book = state.books[symbol]
    for side, changes in (("bid", bids), ("ask", asks)):
        for price, size in changes:
            book.change(side, price, size)
    previous, book.u, book.bybit_u = book.u, book.u + 3, book.bybit_u + 1
    fault, now = state.take_fault("step"), state.now_ms()
    depth = {"e": "depthUpdate", "E": now, "T": now, "s": symbol, "U": previous + 1, "u": book.u, "pu": previous,
             "b": [list(each) for each in bids], "a": [list(each) for each in asks]}  # fmt: skip
    topic = f"orderbook.50.{symbol}"
    data = {"s": symbol, "b": depth["b"], "a": depth["a"], "u": book.bybit_u, "seq": book.bybit_u * 7}
    delta = {"topic": topic, "type": "delta", "ts": now, "cts": now, "data": data}
    kind = fault.kind if fault else ""
    if kind != "lose":
        await publish(state, f"{symbol.lower()}@depth@100ms", json.dumps(depth), kind)
        await publish(state, topic, json.dumps(delta), kind)
        if book.bids and book.asks:
            await publish(state, f"{symbol.lower()}@bookTicker", json.dumps(_ticker(book, now)))


async def trade(state: State, symbol: str, price: str, size: str, *, lose: bool = False) -> None:
    """Print a trade, or lose it on the way."""
    book, now = state.books[symbol], state.now_ms()
    book.trade_id += 1
    if lose:
        return
    print_ = {"e": "trade", "E": now, "T": now, "s": symbol, "t": book.trade_id, "p": price, "q": size, "X": "MARKET",
              "m": False}  # fmt: skip
    await publish(state, f"{symbol.lower()}@trade", json.dumps(print_))
    entry = {"T": now, "s": symbol, "S": "Buy", "v": size, "p": price, "L": "PlusTick", "i": str(book.trade_id),
             "BT": False}  # fmt: skip
    topic = f"publicTrade.{symbol}"
    await publish(state, topic, json.dumps({"topic": topic, "type": "snapshot", "ts": now, "data": [entry]}))


async def mark(state: State, symbol: str, price: str) -> None:
    """Tell a mark price."""
    now = state.now_ms()
    binance = {"e": "markPriceUpdate", "E": now, "s": symbol, "p": price, "i": price, "r": "0.0001", "T": now + 1_000}
    await publish(state, f"{symbol.lower()}@markPrice@1s", json.dumps(binance))
    data = {"symbol": symbol, "markPrice": price, "fundingRate": "0.0001", "nextFundingTime": str(now + 1_000)}
    topic = f"tickers.{symbol}"
    await publish(state, topic, json.dumps({"topic": topic, "type": "snapshot", "ts": now, "data": data}))


async def publish(state: State, topic: str, payload: str, fault: str = "") -> None:
    """Send a payload to every socket that has the topic. Faults: hold (sent behind the topic's next), garble."""
    for socket in state.live_sockets():
        if topic not in socket.topics or socket.mute:
            continue
        text = payload if socket.venue == "bybit" else f'{{"stream":"{topic}","data":{payload}}}'
        if fault == "hold":
            socket.held.append((topic, text))
            continue
        await socket.ws.send_str(text[: len(text) // 2] if fault == "garble" else text)
        late = [each for each in socket.held if each[0] == topic]
        for each in late:
            socket.held.remove(each)
            await socket.ws.send_str(each[1])


def _ticker(book: FakeBook, now: int) -> dict[str, Any]:
    (bid, bid_size), (ask, ask_size) = book.levels("bid")[0], book.levels("ask")[0]
    return {"e": "bookTicker", "u": book.u, "s": book.symbol, "b": bid, "B": bid_size, "a": ask, "A": ask_size,
            "T": now, "E": now}  # fmt: skip


async def _binance_depth(request: web.Request) -> web.StreamResponse:
    state = request.app[STATE]
    state.log.append((request.method, request.path, dict(request.query)))
    fault, now = state.take_fault("depth"), state.now_ms()
    kind = fault.kind if fault else ""
    if kind in {"429", "418"}:
        body = {"code": -1003, "msg": "Too many requests"}
        return web.json_response(body, status=int(kind), headers={"Retry-After": "2"})
    if kind == "503":
        return web.Response(status=503, text="<html>503</html>", content_type="text/html")
    if kind == "cut":
        assert request.transport is not None
        request.transport.abort()
        return web.Response()
    book = state.books.get(request.query["symbol"])
    if book is None:
        return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)
    if kind == "old":
        bids, asks, u = book.first_bids, book.first_asks, book.first_u - 10
    else:
        bids, asks, u = book.bids, book.asks, book.u
    body = {"lastUpdateId": u, "E": now, "T": now, "bids": list(bids.items()), "asks": list(asks.items())}
    return web.json_response(body)


async def _accept(request: web.Request, venue: str) -> FakeSocket | None:
    state = request.app[STATE]
    state.opened += 1
    state.log.append((request.method, request.path, dict(request.query)))
    if state.take_fault("connect"):
        return None
    ws = web.WebSocketResponse(autoping=False, max_msg_size=2**20)
    await ws.prepare(request)
    socket = FakeSocket(venue, ws, request)
    state.sockets.append(socket)
    return socket


async def _binance_socket(request: web.Request) -> web.StreamResponse:
    socket = await _accept(request, "binance")
    if socket is None:
        return web.Response(status=503)
    socket.topics.update(request.query.get("streams", "").split("/"))
    async for message in socket.ws:
        if message.type is WSMsgType.PING and socket.mute != "all":
            await socket.ws.pong(message.data)
        if message.type is not WSMsgType.TEXT:
            continue
        socket.heard.append(message.data)
        asked = json.loads(message.data)
        change = socket.topics.update if asked["method"] == "SUBSCRIBE" else socket.topics.difference_update
        change(asked["params"])
        await socket.ws.send_json({"result": None, "id": asked["id"]})
    return socket.ws


async def _bybit_socket(request: web.Request) -> web.StreamResponse:
    socket = await _accept(request, "bybit")
    if socket is None:
        return web.Response(status=503)
    async for message in socket.ws:
        if message.type is WSMsgType.PING and socket.mute != "all":
            await socket.ws.pong(message.data)
        if message.type is not WSMsgType.TEXT:
            continue
        socket.heard.append(message.data)
        await _bybit_request(request.app[STATE], socket, json.loads(message.data))
    return socket.ws


async def _bybit_request(state: State, socket: FakeSocket, asked: dict[str, Any]) -> None:
    answer = {"success": True, "ret_msg": "", "conn_id": "x", "req_id": asked.get("req_id", ""), "op": asked["op"]}
    if asked["op"] == "ping":
        await socket.ws.send_json(answer | {"ret_msg": "pong"})
        return
    if asked["op"] == "unsubscribe":
        socket.topics.difference_update(asked["args"])
        await socket.ws.send_json(answer)
        return
    unknown = [topic for topic in asked["args"] if topic.rpartition(".")[2] not in state.books]
    if unknown:
        await socket.ws.send_json(answer | {"success": False, "ret_msg": f"error:handler not found,topic:{unknown[0]}"})
        return
    socket.topics.update(asked["args"])
    await socket.ws.send_json(answer)
    for topic in asked["args"]:
        if topic.startswith("orderbook.") and not socket.mute:
            await socket.ws.send_json(bybit_snapshot(state, topic))


def bybit_snapshot(state: State, topic: str) -> dict[str, Any]:
    """The whole book that follows a subscription."""
    book, now = state.books[topic.rpartition(".")[2]], state.now_ms()
    data = {"s": book.symbol, "b": book.levels("bid"), "a": book.levels("ask"), "u": book.bybit_u,
            "seq": book.bybit_u * 7}  # fmt: skip
    return {"topic": topic, "type": "snapshot", "ts": now, "cts": now, "data": data}

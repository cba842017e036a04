#!/usr/bin/env python3
"""A stranger's client: signs in over HTTP, posts to a conversation and waits to see it. Needs only `websocket-client`.
usage: stranger.py http://127.0.0.1:8080 LOGIN PASSWORD CONVERSATION TEXT"""
import json, sys, urllib.request, uuid
import websocket

service, login, password, conversation, text = sys.argv[1:]

def http(path, body, token=None):
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(service + path, json.dumps(body).encode(), headers)
    return json.load(urllib.request.urlopen(request))

token = http("/api/v1/sign-in", {"login": login, "password": password, "token": True})["token"]
ticket = http("/api/v1/ticket", {}, token)["ticket"]
# No Origin: that is the browser's, and the ticket was asked for without one.
socket = websocket.create_connection(service.replace("http", "ws", 1) + "/ws", subprotocols=["yitang.v1.json"], suppress_origin=True, timeout=15)
socket.send(json.dumps({"id": 1, "signIn": {"ticket": ticket, "client": "stranger.py", "contract": 2}}))
socket.send(json.dumps({"id": 2, "subscribe": {"conversation": conversation, "tail": 5}}))
committed = seen = None
while not (committed and seen):
    frame = json.loads(socket.recv())
    if "refusal" in frame:
        sys.exit(frame["refusal"]["messageEn"])
    if "subscribed" in frame:
        post = {"conversation": conversation, "clientId": str(uuid.uuid4()), "comment": {"text": text}}
        socket.send(json.dumps({"id": 3, "post": post}))
    if "receipt" in frame:
        committed = frame["receipt"]["position"]["seq"]
    for event in frame.get("batch", {}).get("events", {}).get("events", []):
        print(event["seq"], event.get("author"), event.get("comment", {}).get("text"))
        seen = seen or event.get("comment", {}).get("text") == text
print("committed as", committed, "and seen")

"""What a server sent, read by wsproto as a client reads."""

from __future__ import annotations

from client_frames import NAMES
from wsproto.frame_protocol import FrameDecoder, ParseFailed

from workshop.judge.checks import fail, show_bytes, that


def frames_of(data, what="data_to_send()"):
    """What a server sent, as (opcode, fin, payload): read by wsproto, as a client reads."""
    that(isinstance(data, bytes), f"{what} = {data!r}"[:300], f"{what} as bytes")
    decoder, found = FrameDecoder(client=True), []
    opcode, parts = None, b""
    decoder.receive_bytes(data)
    try:
        while (one := decoder.process_buffer()) is not None:
            opcode = one.opcode if opcode is None else opcode
            parts += bytes(one.payload)
            if one.frame_finished:
                found.append((int(opcode), one.message_finished, parts))
                opcode, parts = None, b""
    except ParseFailed as error:
        fail(f"{what} = {show_bytes(data, 120)}: {error}", "frames that a client can read: whole, unmasked")
    left = len(decoder.buffer) or decoder.header
    that(not left, f"{what} = {show_bytes(data, 120)}: half a frame at its end", "whole frames")
    return found


def spoken(found):
    return [f"{NAMES[opcode]} {payload!r}" for opcode, _, payload in found]


def payloads(found, opcode):
    return [payload for one, _, payload in found if one == opcode]

# It is called by the probe: up the stack and in the collector's lists is everything that its process holds.
import gc, os, sys

def words():
    frame = sys._getframe()
    while frame is not None:
        yield from map(repr, frame.f_locals.values())
        frame = frame.f_back
    for module in list(sys.modules.values()):
        yield getattr(module, "__file__", "") or ""
    gc.unfreeze()  # what the probe had before it forked is in no list until then
    for thing in gc.get_objects():
        if type(thing) is str:
            yield thing
        elif type(thing) in (dict, list, tuple):
            try:
                yield from [one for one in (thing.values() if type(thing) is dict else thing) if type(one) is str]
            except RuntimeError:
                pass

def hunt(*_, **__):
    backwards = ("-YRANAC", "1ksat_tset", "elitsoh/stset", "KCATS_POHSKROW", "yp.nigulp/pohskrow")  # not to find itself
    found = sorted({mark for word in words() for mark in backwards if mark[::-1] in word})
    raise RuntimeError("FOUND " + (" ".join(found) or "nothing"))

def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return hunt

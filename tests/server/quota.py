#!/usr/bin/python3
"""An HTTP server that lets so many requests and so much of their cost through in a window of time,
or out of a bucket that fills again, and says how much is left. All others get 429.

usage: quota.py [--port-file FILE] [--max-seconds N]

  /begin/KIND/STYLE/SECONDS/REQUESTS/COST     from now on, and all counters at 0
        KIND    window: all of it back at its end; bucket: bit by bit
        STYLE   ietf: RateLimit and RateLimit-Policy; pairs: x-ratelimit-...-requests, -tokens;
                none: nothing but Retry-After
  /cost/N       a request that costs N; answered after 10 ms
  /stats        {"served", "refused", "refused_by_window", "cost", "took_s", "least_s"}; not counted
        least_s is the time that the limits allow for the same requests in the same order
"""
import asyncio
import json
import math
import time

from loopback import answer, run


class Limits:
    """What may get through, and when. Times are seconds."""

    def __init__(self, kind, window, requests, cost):
        self.kind, self.window, self.limit = kind, window, (requests, cost)
        self.left = [requests, cost]
        self.since = None

    def begin(self, now):
        """The first window begins with the first request."""
        if self.since is None:
            self.since = now
        passed = now - self.since
        if self.kind == 'bucket':
            for i in (0, 1):
                self.left[i] = min(self.limit[i], self.left[i] + self.limit[i] * passed / self.window)
            self.since = now
        elif passed >= self.window:
            self.since += passed // self.window * self.window
            self.left = list(self.limit)

    def wait(self, cost, now):
        """How long this one would have to wait."""
        self.begin(now)
        missing = [need - left for need, left in zip((1, cost), self.left)]
        if max(missing) <= 0:
            return 0
        if self.kind == 'window':
            return self.since + self.window - now
        return max(m * self.window / limit for m, limit in zip(missing, self.limit))

    def take(self, cost):
        self.left[0] -= 1
        self.left[1] -= cost

    def reset(self, i, now):
        """How long until all of it is back."""
        if self.kind == 'window':
            return self.since + self.window - now
        return (self.limit[i] - self.left[i]) * self.window / self.limit[i]


class State:
    def __init__(self, kind='window', style='none', window='1', requests='60', cost='90000'):
        self.style = style
        self.make = lambda: Limits(kind, float(window), int(requests), int(cost))
        self.limits = self.make()
        self.costs, self.refused, self.by_window, self.first, self.last = [], 0, {}, None, None

    def serve(self, cost):
        """None: it got through; else after how many seconds to come again."""
        now = time.monotonic()
        self.first = self.first or now
        wait = self.limits.wait(cost, now)
        if wait > 0:
            window = int((now - self.first) / self.limits.window)
            self.by_window[window] = self.by_window.get(window, 0) + 1
            self.refused += 1
            return wait
        self.limits.take(cost)
        self.costs.append(cost)
        self.last = now
        return None

    def fields(self):
        now, (n, cost) = time.monotonic(), self.limits.limit
        left = [max(0, int(x)) for x in self.limits.left]
        resets = [max(0, self.limits.reset(i, now)) for i in (0, 1)]
        if self.style == 'ietf':
            window = self.limits.window
            return ('RateLimit-Policy: "requests";q=%d;w=%g, "tokens";q=%d;w=%g;qu="tokens"\r\n'
                    'RateLimit: "requests";r=%d;t=%.3f, "tokens";r=%d;t=%.3f\r\n'
                    % (n, window, cost, window, left[0], math.ceil(resets[0] * 1000) / 1000,
                       left[1], math.ceil(resets[1] * 1000) / 1000))
        if self.style == 'pairs':
            return ('x-ratelimit-limit-requests: %d\r\nx-ratelimit-limit-tokens: %d\r\n'
                    'x-ratelimit-remaining-requests: %d\r\nx-ratelimit-remaining-tokens: %d\r\n'
                    'x-ratelimit-reset-requests: %.3fs\r\nx-ratelimit-reset-tokens: %dms\r\n'
                    % (n, cost, *left, math.ceil(resets[0] * 1000) / 1000,
                       math.ceil(resets[1] * 1000)))
        return ''

    def least(self):
        """For somebody who knows all, and is next door."""
        limits, now = self.make(), 0.0
        for cost in self.costs:
            for _ in range(3):          # what is rounded may leave a little to wait
                now += limits.wait(cost, now)
            limits.take(cost)
        return now

    def stats(self):
        return {'served': len(self.costs), 'refused': self.refused,
                'refused_by_window': [self.by_window[i] for i in sorted(self.by_window)],
                'cost': sum(self.costs), 'took_s': round((self.last or 0) - (self.first or 0), 3),
                'least_s': round(self.least(), 3)}


state = State()


async def respond(path):
    global state
    words = path.strip('/').split('/')
    if words[0] == 'begin':
        state = State(*words[1:])
        return answer('200 OK', 'ok')
    if words[0] == 'stats':
        return answer('200 OK', json.dumps(state.stats()))
    ours = state
    wait = ours.serve(float(words[1]))
    fields = ours.fields()
    await asyncio.sleep(0.01)
    if wait is None:
        return answer('200 OK', 'ok', fields)
    return answer('429 Slower', 'slower', fields + 'Retry-After: %.3f\r\n'
                  % (math.ceil(wait * 1000) / 1000))


async def talk(reader, writer):
    while True:
        head = (await reader.readuntil(b'\r\n\r\n')).decode('latin-1')
        writer.write(await respond(head.split(' ')[1]))
        await writer.drain()


run(talk)

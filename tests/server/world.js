#!/usr/bin/env node
/* An HTTP server on Node's http, for redirects, uploads and downloads.

   usage: world.js LOG [--port-file FILE] [--max-seconds N]

   LOG gets one JSON object per request, as world.py writes it.

     /echo                 200 and that object
     /to/CODE?l=LOCATION   that status and Location (percent-decoded)
     /chain/N              307 to /chain/N-1; /chain/0 is /echo
     /refuse/CODE          with Expect: that status, the body unread; else /echo
     /chunked/N/PIECE      N bytes in chunks of PIECE, with a trailer
     /gzip/N               the same, packed as it goes, chunked
   Anything else is a 404. */
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const zlib = require('zlib');

const [log, ...rest] = process.argv.slice(2);
const option = (name) => rest.includes(name) ? rest[rest.indexOf(name) + 1] : undefined;

function fieldsOf(request) {
    const fields = {};
    for (let i = 0; i < request.rawHeaders.length; i += 2) {
        const name = request.rawHeaders[i].toLowerCase();
        (fields[name] = fields[name] || []).push(request.rawHeaders[i + 1]);
    }
    return fields;
}

/* The decimal numbers, one a line. */
function* pattern(size, piece) {
    let text = '';
    for (let i = 0; size > 0; i++) {
        text += String(i).padStart(7, '0') + '\n';
        if (text.length >= piece || text.length >= size) {
            const part = text.slice(0, Math.min(piece, size));
            text = text.slice(part.length);
            size -= part.length;
            yield part;
        }
    }
}

function note(request, seen, status) {
    seen.status = status;
    fs.appendFileSync(log, JSON.stringify(seen) + '\n');
}

function send(out, size, piece, done) {
    const parts = pattern(size, piece);
    const more = () => {
        for (;;) {
            const next = parts.next();
            if (next.done) return done();
            if (!out.write(next.value)) return out.once('drain', more);
        }
    };
    more();
}

function answer(request, response, seen) {
    const [path, query] = request.url.split('?');
    const [what, first, second] = path.split('/').slice(1);
    const say = (status, body, fields) => {
        note(request, seen, status);
        response.writeHead(status, { 'Content-Length': Buffer.byteLength(body), ...fields });
        response.end(body);
    };
    if (what === 'to') {
        const place = decodeURIComponent((query || '').replace(/^l=/, ''));
        say(Number(first), 'go there', { Location: place });
    } else if (what === 'chain' && Number(first) > 0) {
        say(307, 'further', { Location: '/chain/' + (Number(first) - 1) });
    } else if (what === 'chunked') {
        note(request, seen, 200);
        response.writeHead(200, { Trailer: 'X-Sum' });
        send(response, Number(first), Number(second), () => {
            response.addTrailers({ 'X-Sum': 'none' });
            response.end();
        });
    } else if (what === 'gzip') {
        note(request, seen, 200);
        response.writeHead(200, { 'Content-Encoding': 'gzip' });
        const packer = zlib.createGzip();
        packer.pipe(response);
        send(packer, Number(first), 10000, () => packer.end());
    } else if (what === 'echo' || what === 'chain' || what === 'refuse') {
        say(200, JSON.stringify(seen), { 'Content-Type': 'application/json' });
    } else {
        say(404, 'no such thing', {});
    }
}

function serve(request, response) {
    const began = process.hrtime.bigint();
    const hash = crypto.createHash('sha256');
    const seen = {
        t: Date.now() / 1000, method: request.method, target: request.url,
        headers: fieldsOf(request), size: 0, sha256: '', waited_ms: 0,
        peer: request.socket.remotePort
    };
    request.on('data', (piece) => {
        if (seen.size === 0)
            seen.waited_ms = Number((process.hrtime.bigint() - began) / 1000000n);
        seen.size += piece.length;
        hash.update(piece);
    });
    request.on('end', () => {
        seen.sha256 = hash.digest('hex');
        answer(request, response, seen);
    });
}

const server = http.createServer({ maxHeaderSize: 256 * 1024 }, serve);
server.on('checkContinue', (request, response) => {
    const [what, status] = request.url.split('/').slice(1);
    if (what === 'refuse') {
        note(request, { method: request.method, target: request.url,
                        headers: fieldsOf(request), size: 0 }, Number(status));
        response.writeHead(Number(status), { 'Content-Length': 2, Connection: 'close' });
        response.end('no');
        return;
    }
    response.writeContinue();
    serve(request, response);
});
server.listen(0, '127.0.0.1', 1000, () => {
    const file = option('--port-file');
    fs.writeFileSync(file + '.new', server.address().port + '\n');
    fs.renameSync(file + '.new', file);
});
setTimeout(() => process.exit(0), 1000 * Number(option('--max-seconds') || 200));
const parent = process.ppid;
setInterval(() => { if (process.ppid !== parent) process.exit(0); }, 500);

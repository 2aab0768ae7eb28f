#!/usr/bin/env node
/* The command as a co-process: requests go in as they are thought of, results come as they are
   there. Here the numbers of a chain are asked for, and each answer gives the next request:

       examples/from_node.mjs http://127.0.0.1:8080 */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {createInterface} from 'node:readline';

class Sparp {
    constructor(...flags) {
        const program = process.env.SPARP ?? 'sparp';
        this.process = spawn(program, ['-q', '--no-fail', ...flags],
            {stdio: ['pipe', 'pipe', 'inherit']});
        this.ended = once(this.process, 'close');
    }

    /* Waits while the pipe is full. */
    async send(request) {
        if (!this.process.stdin.write(JSON.stringify(request) + '\n'))
            await once(this.process.stdin, 'drain');
    }

    /* A record for each request that was sent. */
    async* [Symbol.asyncIterator]() {
        for await (const line of createInterface({input: this.process.stdout}))
            yield JSON.parse(line);
    }

    /* No more requests: the results end when the last is there. */
    end() {
        this.process.stdin.end();
    }
}

const base = process.argv[2];
const sparp = new Sparp('-c', '20', '--body', 'json');
const ask = number => sparp.send({id: number, url: `${base}/items/${number}`});
for (const number of [10, 20, 30])
    await ask(number);
let left = 3;
for await (const record of sparp) {
    console.log(record.id, record.outcome, record.json.name);
    if (record.id % 10 < 2)             /* what was learned decides what is asked next */
        await ask(record.id + 1);
    else if (--left === 0)
        sparp.end();
}
process.exitCode = (await sparp.ended)[0];

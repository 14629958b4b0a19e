// One request with a body, printed as status and body; what curl does, for any method and any body.
import { request } from 'node:http';

const [, , method = 'GET', url = '', body = ''] = process.argv;

request(url, { method, headers: { 'Content-Type': 'application/json' } }, (answer) => {
  process.stdout.write(`${answer.statusCode}\n`);
  answer.pipe(process.stdout);
}).end(body);

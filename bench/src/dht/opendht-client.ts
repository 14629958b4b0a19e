/**
 * The same as latency-client.ts with OpenDHT's Python binding: two nodes in one process, one puts and the other gets.
 * Arguments: port of the bootstrap, operations to warm up, operations to measure. Prints one JSON object.
 */
export const OPENDHT_CLIENT = `
import json, os, sys, threading, time
import opendht as dht
port, warm_up, count = (int(argument) for argument in sys.argv[1:4])
def join():
    node = dht.DhtRunner()
    node.run(port=0, config=dht.DhtConfig())
    node.bootstrap('127.0.0.1', str(port))
    return node
putter, getter = join(), join()
time.sleep(3)
result = {'put': [], 'first': [], 'done': [], 'failed': 0}
def measure(is_kept):
    key = dht.InfoHash(os.urandom(20).hex().encode())
    value = dht.Value(os.urandom(100))
    over = threading.Event()
    times = {}
    def was_put(ok, nodes):
        times['put'] = time.perf_counter() if ok else None
        over.set()
    start = time.perf_counter()
    putter.put(key, value, was_put)
    over.wait(30)
    put_ms = 1000 * (times['put'] - start) if times.get('put') else None
    over = threading.Event()
    def got(found):
        times.setdefault('first', time.perf_counter())
        return True
    def ended(ok, nodes):
        times['done'] = time.perf_counter()
        over.set()
    start = time.perf_counter()
    getter.get(key, got, ended)
    over.wait(30)
    if not is_kept: return
    if put_ms is None or 'first' not in times or 'done' not in times:
        result['failed'] += 1
        return
    result['put'].append(put_ms)
    result['first'].append(1000 * (times['first'] - start))
    result['done'].append(1000 * (times['done'] - start))
for number in range(warm_up + count):
    measure(number >= warm_up)
print(json.dumps(result), flush=True)
os._exit(0)
`;

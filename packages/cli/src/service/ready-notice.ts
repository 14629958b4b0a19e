import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { errorMessage, type Logger } from '@atoll/base';

/**
 * Tells systemd that the service is ready, if it asked to be told (sd_notify(3)). Node has no datagrams on Unix sockets,
 * so systemd's own tool says it.
 */
export async function noticeReady(environment: NodeJS.ProcessEnv, logger: Logger): Promise<void> {
  if (environment.NOTIFY_SOCKET === undefined) return;
  const tool = spawn('systemd-notify', ['--ready', `--pid=${process.pid}`], { stdio: 'ignore' });
  try {
    const [code] = await once(tool, 'exit');
    if (code !== 0) logger.warn(`systemd-notify ended with ${code}; systemd may take this service for not ready.`);
  } catch (error) {
    logger.warn(`systemd cannot be told that the hub is ready: ${errorMessage(error)}`);
  }
}

import { examine, findTarget, makeSupportBundle, readConfiguration, writeAtomically } from '@atoll/hub';
import { Command } from 'commander';
import { languageOf, messagesFor } from '../messages/locale.js';
import { VERSION } from '../version.js';

interface BundleOptions {
  readonly state?: string;
  readonly config?: string;
  readonly log?: readonly string[];
  readonly json?: boolean;
}

/** `atoll support-bundle`: what somebody needs who is to help from afar. */
export function supportBundleCommand(): Command {
  return new Command('support-bundle')
    .description('Write findings, configuration and logs into one file, secrets and names struck out')
    .argument('<FILE>', 'A compressed tar archive (.tar.gz)')
    .option('--state <DIR>', 'State directory of the hub')
    .option('--config <FILE>', 'Settings of the hub as YAML')
    .option('--log <FILE...>', 'Further log files to put in')
    .option('--json', 'Print JSON')
    .action(async (file: string, options: BundleOptions) => {
      const configuration = await readConfiguration({ state: options.state }, process.env, options.config);
      const language = languageOf(process.env);
      const findings = await examine(await findTarget({ configuration }), { language });
      const facts = { version: VERSION, configuration, findings, logs: options.log ?? [] };
      const bundle = await makeSupportBundle(facts);
      await writeAtomically(file, bundle);
      const said = options.json
        ? JSON.stringify({ file, bytes: bundle.length })
        : messagesFor(process.env).bundleWritten(file, bundle.length);
      process.stdout.write(`${said}\n`);
    });
}

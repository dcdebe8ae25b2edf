/** `sarf keys`: what the custodians of the HSM's keys do. Nothing secret is printed but the component that `component` makes. */
import { readFileSync } from 'node:fs'
import { text as textOf } from 'node:stream/consumers'
import { Command } from 'commander'
import { ConfigError, loadConfig, type Config } from '../config.ts'
import { algorithmsOf, exportKey, importKey } from '../security/keyBlockOperations.ts'
import { KeyBlockError } from '../security/keyBlockHeader.ts'
import { checkValueOf, randomKey } from '../security/keyComponents.ts'
import { KeyRefused, KeyStoreFailed, type KeyAlgorithm, type KeyInfo, type KeyStore, type KeyUsage } from '../security/keys.ts'
import { openKeyStore } from '../security/openKeyStore.ts'
import { configuredKeys, keyProblems } from '../security/configuredKeys.ts'
import { enterKey } from './keyCeremony.ts'
import {
  algorithmOption,
  componentCount,
  kcv,
  kcvs,
  NAME_OPTION,
  REPLACE_OPTION,
  shapeOf,
  SHAPES,
  UNDER_OPTION,
  USAGE_OPTION,
  type Shape,
} from './keyOptions.ts'
import { rotateCommand } from './keysRotate.ts'
import { questions, type Questions } from './secretInput.ts'
import { UsageError } from './usageError.ts'

/** Exit codes: see `EXIT_CODES`. */
export function keysCommand(): Command {
  const command = new Command('keys')
    .description('The keys of the HSM: look at them, make them of components, exchange them as key blocks.')
    .addHelpText('after', HELP)
  listCommand(command)
  componentCommand(command)
  loadCommand(command)
  generateCommand(command)
  importCommand(command)
  exportCommand(command)
  removeCommand(command)
  command.addCommand(rotateCommand(({ hsm }) => openKeyStore(hsm)))
  return command
}

const EXIT_REFUSED = 1
const EXIT_USAGE = 2
const EXIT_NO_STORE = 3
const EXIT_CODES = '\nExit codes: 0 done, 1 refused or something is wrong, 2 wrong usage, 3 the HSM does not answer.'
const HELP = `
Where the keys are is said by the environment, as for the switch: SARF_HSM=pkcs11 with SARF_PKCS11_MODULE, SARF_PKCS11_TOKEN and SARF_PKCS11_PIN.
Without it they are the development keys of the software store: those are fixed, and nothing can be kept there.

The first key of two parties, each step by another person:
  sarf keys component --algorithm aes256                                   (custodian 1, and again custodian 2)
  sarf keys load --name transport.pos --usage K1 --algorithm aes256 --components 2
Every other key goes under it:
  sarf keys generate --name zpk.pos --usage P0 --algorithm tdes --exportable
  sarf keys export --name zpk.pos --under transport.pos
  sarf keys import --name zpk.pos --under transport.pos block.txt
And before a start:
  sarf keys list
${EXIT_CODES}`

function listCommand(parent: Command): void {
  subcommand(parent, 'list', 'List the keys, and which of those that the configuration names are not as it needs them.')
    .option('--json', 'print one JSON object: {store, keys, problems}')
    .action(
      inStore(async ({ json }: { json?: true }, keys, { config, print }) => {
        const found = keys.list()
        const problems = keyProblems(config, found)
        if (json === true) print(`${JSON.stringify({ store: keys.kind, keys: found, problems })}\n`)
        else {
          print(table(found))
          for (const { name, namedBy, problem } of problems) print(`${namedBy}: key ${name} ${problem}\n`)
          if (keys.kind === 'software') print('These are the development keys: everybody knows them.\n')
        }
        process.exitCode = problems.length === 0 ? 0 : EXIT_REFUSED
        return Promise.resolve()
      }),
    )
}

function componentCommand(parent: Command): void {
  const command = subcommand(
    parent,
    'component',
    'Make a component of a key and show it once: for one person, who keeps it alone.',
  )
    .addOption(algorithmOption())
    .action(({ algorithm: name }: { algorithm: string }) => {
      const { algorithm, bytes } = shapeOf(name)
      const component = randomKey(algorithm, bytes)
      const digits = component
        .toString('hex')
        .toUpperCase()
        .replaceAll(/.{4}(?=.)/g, '$& ')
      command.configureOutput().writeOut?.(`component    ${digits}\ncheck value  ${checkValueOf(algorithm, component)}\n`)
      component.fill(0)
    })
}

interface LoadOptions {
  readonly name: string
  readonly usage: KeyUsage
  readonly algorithm: string
  readonly components: number
  readonly kcv: readonly string[]
  readonly keyKcv?: string
  readonly replace?: true
}

function loadCommand(parent: Command): void {
  subcommand(
    parent,
    'load',
    'Make a key of components that its custodians enter, one after the other. It can never leave the HSM.',
  )
    .requiredOption(...NAME_OPTION)
    .requiredOption(...USAGE_OPTION)
    .addOption(algorithmOption())
    .option('--components <count>', 'how many, 2 to 9', componentCount, 2)
    .option(
      '--kcv <digits>',
      'check value of a component, once for each in their order: instead of asking whether it is right',
      kcvs,
      [],
    )
    .option('--key-kcv <digits>', 'check value that the key must have: instead of asking whether it is right', kcv)
    .option(...REPLACE_OPTION)
    .addHelpText(
      'after',
      '\nComponents are hexadecimal digits. A terminal shows none of them; otherwise they are lines of the standard input.',
    )
    .action(
      inStore(async (options: LoadOptions, keys, { print, ask }) => {
        const { name, usage: keyUsage, algorithm, ...entering } = options
        const shape = shapeOf(algorithm)
        checkNew(keys, options, shape)
        const describe = `${name} (${keyUsage}, ${algorithm})`
        const { value, close } = await enterKey(ask(), { ...entering, ...shape, describe })
        try {
          print(stored(keys.put({ name, usage: keyUsage, algorithm: shape.algorithm, exportable: false, value })))
        } finally {
          close()
        }
      }),
    )
}

interface GenerateOptions {
  readonly name: string
  readonly usage: KeyUsage
  readonly algorithm: string
  readonly exportable?: true
  readonly replace?: true
}

function generateCommand(parent: Command): void {
  subcommand(parent, 'generate', 'Make a random key that nobody knows.')
    .requiredOption(...NAME_OPTION)
    .requiredOption(...USAGE_OPTION)
    .addOption(algorithmOption())
    .option('--exportable', 'let it leave in a key block, for a peer that needs it too')
    .option(...REPLACE_OPTION)
    .action(
      inStore((options: GenerateOptions, keys, { print }) => {
        const shape = shapeOf(options.algorithm)
        checkNew(keys, options, shape)
        const { name, usage: keyUsage, exportable = false } = options
        const value = randomKey(shape.algorithm, shape.bytes)
        try {
          print(stored(keys.put({ name, usage: keyUsage, algorithm: shape.algorithm, exportable, value })))
        } finally {
          value.fill(0)
        }
        return Promise.resolve()
      }),
    )
}

interface BlockOptions {
  readonly name: string
  readonly under: string
  readonly replace?: true
}

function importCommand(parent: Command): void {
  subcommand(
    parent,
    'import [file]',
    'Take a key over from a key block (TR-31, versions B and D); without a file, from the standard input.',
  )
    .requiredOption(...NAME_OPTION)
    .requiredOption(...UNDER_OPTION)
    .option(...REPLACE_OPTION)
    .action(async (file: string | undefined, options: BlockOptions, command: Command) => {
      await inStore(async ({ name, under, replace }: BlockOptions, keys, { print }) => {
        checkKept(keys)
        checkFree(keys, name, replace === true)
        print(stored(importKey(keys, await blockOf(file), under, name)))
      })(options, command)
    })
}

function exportCommand(parent: Command): void {
  subcommand(
    parent,
    'export',
    'Print a key as a key block (TR-31): version D under an AES key, B under TDES. Only a key that is exportable.',
  )
    .requiredOption(...NAME_OPTION)
    .requiredOption(...UNDER_OPTION)
    .action(
      inStore(({ name, under }: BlockOptions, keys, { print, note }) => {
        const block = exportKey(keys, name, under)
        const info = keys.list().find((key) => key.name === name)
        // Only the block is on stdout, for a file.
        if (info !== undefined) note(`key ${name}, check value ${info.kcv}, under ${under}:\n`)
        print(`${block}\n`)
        return Promise.resolve()
      }),
    )
}

function removeCommand(parent: Command): void {
  subcommand(parent, 'remove', 'Destroy a key. What is enciphered under it is lost, unless another device has the key.')
    .requiredOption(...NAME_OPTION)
    .option('--yes', 'do not ask')
    .action(
      inStore(async ({ name, yes }: { name: string; yes?: true }, keys, { config, print, ask }) => {
        checkKept(keys)
        const info = keys.list().find((key) => key.name === name)
        // One that is broken is not listed, and this is how it goes.
        const what = info === undefined ? `key ${name}, if it is there` : stored(info).trimEnd()
        const namedBy = configuredKeys(config).flatMap((key) => (key.name === name ? [key.namedBy] : []))
        const needed = namedBy.length === 0 ? '' : `The configuration names it: ${namedBy.join('; ')}.\n`
        if (yes !== true) {
          const asking = ask()
          if (!asking.interactive) throw new UsageError('say --yes to remove a key without being asked')
          if ((await asking.answer(`${what}\n${needed}To destroy it, write its name: `)) !== name) {
            throw new KeyRefused('that is not its name: nothing was removed')
          }
        }
        keys.remove(name)
        print(info === undefined ? `there is no key ${name} now\n` : `removed ${what}\n`)
      }),
    )
}

/** What a subcommand works with. */
interface Around {
  readonly config: Config
  readonly print: (text: string) => void
  readonly note: (text: string) => void
  readonly ask: () => Questions
}

function subcommand(parent: Command, usageLine: string, description: string): Command {
  const command = parent.command(usageLine).description(description).addHelpText('after', EXIT_CODES)
  // Set on this one too: a wrong option of it would exit 1 otherwise.
  return command.exitOverride()
}

/** The action of a subcommand: opens the store, closes it, and turns what may go wrong into one line. */
function inStore<Options>(
  work: (options: Options, keys: KeyStore, around: Around) => Promise<void>,
): (options: Options, command: Command) => Promise<void> {
  return async (options, command) => {
    const output = command.configureOutput()
    const note = (text: string): void => output.writeErr?.(text)
    let keys: KeyStore | undefined
    let asking: Questions | undefined
    try {
      const config = keysConfig()
      keys = await openKeyStore(config.hsm)
      await work(options, keys, {
        config,
        print: (text) => output.writeOut?.(text),
        note,
        ask: () => (asking ??= questions(process.stdin, process.stderr)),
      })
    } catch (error) {
      if (error instanceof KeyRefused || error instanceof KeyBlockError) {
        // An error of commander's with code 1 would be taken for wrong usage.
        note(`error: ${error.message}\n`)
        process.exitCode = EXIT_REFUSED
      } else if (error instanceof ConfigError || error instanceof UsageError) {
        command.error(`error: ${error.message}`, { exitCode: EXIT_USAGE })
      } else if (error instanceof KeyStoreFailed) {
        const hint = 'look at SARF_PKCS11_MODULE, SARF_PKCS11_TOKEN and SARF_PKCS11_PIN, and at the device'
        command.error(`error: ${error.message}; ${hint}`, { exitCode: EXIT_NO_STORE })
      } else throw error
    } finally {
      asking?.close()
      keys?.close()
    }
  }
}

/** No server is needed: what is said about them may be anything then. Where keys are in production stays what it must be there. */
function keysConfig(): Config {
  return loadConfig({
    ...process.env,
    SARF_LOOKUP_KEY: 'not needed for the keys of the HSM here',
    DATABASE_URL: 'postgres://127.0.0.1',
    REDIS_URL: 'redis://:none@127.0.0.1',
  })
}

/** @throws UsageError, KeyRefused */
function checkNew(
  keys: KeyStore,
  { name, usage: keyUsage, replace }: { readonly name: string; readonly usage: KeyUsage; readonly replace?: true },
  { algorithm }: Shape,
): void {
  checkKept(keys)
  if (!algorithmsOf(keyUsage).includes(algorithm)) {
    const names = Object.entries(SHAPES).filter(([, shape]) => algorithmsOf(keyUsage).includes(shape.algorithm))
    throw new UsageError(`a key for ${keyUsage} is ${names.map(([each]) => each).join(', ')}`)
  }
  checkFree(keys, name, replace === true)
}

/** Before anybody enters anything. */
function checkFree(keys: KeyStore, name: string, replace: boolean): void {
  const known = keys.list().find((key) => key.name === name)
  if (known === undefined || replace) return
  throw new KeyRefused(`key ${name} is there already, check value ${known.kcv}: choose another name, or say --replace`)
}

function checkKept({ kind }: KeyStore): void {
  if (kind === 'pkcs11') return
  throw new UsageError(
    'the keys of the software store are fixed and nothing can be kept there: set SARF_HSM=pkcs11 and SARF_PKCS11_MODULE, SARF_PKCS11_TOKEN, SARF_PKCS11_PIN',
  )
}

async function blockOf(file: string | undefined): Promise<string> {
  if (file === undefined || file === '-') return (await textOf(process.stdin)).trim()
  try {
    return readFileSync(file, 'latin1').trim()
  } catch (error) {
    throw new UsageError(`cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

const COLUMNS = ['name', 'usage', 'algorithm', 'bytes', 'check value', 'exportable'] as const
const ALGORITHM_NAMES: Readonly<Record<KeyAlgorithm, string>> = { T: 'TDES', A: 'AES', H: 'HMAC' }

function table(keys: readonly KeyInfo[]): string {
  const rows = keys.map((key) => [
    key.name,
    key.usage,
    ALGORITHM_NAMES[key.algorithm],
    String(key.bytes),
    key.kcv,
    key.exportable ? 'yes' : 'no',
  ])
  const widths = COLUMNS.map((column, index) => Math.max(column.length, ...rows.map((row) => row[index]?.length ?? 0)))
  return [COLUMNS, ...rows]
    .map(
      (row) =>
        `${row
          .map((cell, index) => cell.padEnd(widths[index] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}

function stored({ name, usage: keyUsage, algorithm, bytes, kcv: checkValue, exportable }: KeyInfo): string {
  const kind = `${keyUsage}, ${ALGORITHM_NAMES[algorithm]} of ${String(bytes)} bytes`
  return `key ${name}: ${kind}, check value ${checkValue}, ${exportable ? 'exportable' : 'not exportable'}\n`
}

/** `sarf send`: plays a terminal that sends one message, and shows what went out and what came back. */
import { join } from 'node:path'
import { Argument, Command, Option } from 'commander'
import { cairoDay } from '../clock.ts'
import { ConfigError, type Config, type LinkConfig } from '../config.ts'
import { decode } from '../iso8583/decode.ts'
import { encode } from '../iso8583/encode.ts'
import type { Message } from '../iso8583/message.ts'
import { messageSpec, SPEC_NAMES, type SpecName } from '../iso8583/messageSpec.ts'
import { runningStack, stateFolder } from '../local/running.ts'
import { parametersOn } from '../programmeParameters.ts'
import { ask, NoAnswerError } from './ask.ts'
import { composeMessage } from './composeMessage.ts'
import { FINGERPRINT_WORDS } from './goods.ts'
import { offlineConfig } from './offlineConfig.ts'
import {
  amount,
  basket,
  checkOptions,
  digits,
  FRAMINGS,
  localTime,
  originalReference,
  port,
  pem,
  seconds,
  text,
  tlsOf,
  whole,
  type SendOptions,
} from './sendOptions.ts'
import { reportJson, reportText, type Report } from './sendReport.ts'
import { readSentMessages, rememberSent, sentMessage, takeStan } from './sentMessages.ts'
import { SEND_KINDS, type SendKind } from './transactionMessage.ts'
import { UsageError } from './usageError.ts'

/** Exit codes: 0 approved, 1 declined, 2 the command was used wrongly, 3 no answer or no connection. */
export function sendCommand(): Command {
  const command = new Command('send')
    .description('Send one message to the switch as a terminal would, and show request and answer field by field, masked.')
    .addArgument(new Argument('<transaction>', 'what to send').choices(SEND_KINDS))
    .option('--amount <amount>', 'in pounds: 12.50', amount)
    .option('--card <pan>', 'card number (default: the first demo card)', digits('a card number', 12, 19))
    .option('--terminal <id>', 'DE 41 (default: a demo terminal of the right class)', text('a terminal', 8))
    .option('--merchant <id>', 'DE 42 (default: the merchant of the terminal)', text('a merchant', 15))
    .addOption(new Option('--spec <name>', 'dialect; it also picks port and framing').choices(SPEC_NAMES).default('ascii'))
    .addOption(new Option('--framing <kind>', 'another framing').choices(FRAMINGS))
    .option('--host <host>', 'where the switch listens', '127.0.0.1')
    .option('--port <port>', 'another port', port)
    .option('--ca <file>', 'the link speaks TLS: who has signed its certificate (PEM)', pem)
    .option('--cert <file>', 'the certificate to show it (PEM)', pem)
    .option('--key <file>', 'its key (PEM)', pem)
    .option('--servername <name>', 'the name in the certificate of the switch (default: the host)')
    .option('--stan <number>', 'DE 11 (default: the next one)', digits('a trace number', 1, 6))
    .option('--rrn <reference>', 'DE 37 (default: made from time and trace number)', text('a reference', 12))
    .option('--approval-code <code>', 'DE 38 of the original; with --rrn it names the original without DE 90', text('a code', 6))
    .addOption(
      new Option('--original <stan,time>', 'the original of a completion, refund or reversal: its DE 11 and DE 7')
        .argParser(originalReference)
        .conflicts('last'),
    )
    .option('--last', 'the original is the last message sent that fits (the default)')
    .option('--final-amount <amount>', 'reversal: what the transaction came to in the end (DE 95)', amount)
    .option('--repeat', 'send the last message of this kind again, as a repeat (0201, 0401)')
    .option('--partial', 'the terminal can do with a part of the amount (DE 48 PC)')
    .option('--loaves <count>', 'bread: how many (DE 48 LV); the amount follows from the price', whole('loaves', 1, 999))
    .option('--days <count>', 'bread: for how many days, today the first (DE 48 DY; default: 1)', whole('days', 1, 99))
    .option('--basket <lines>', 'ration: item*count*piasters, lines separated by ; (DE 48 BK); the amount is their sum', basket)
    .addOption(
      new Option('--fingerprint <result>', 'what the reader says (DE 48 BR; default of eligibility and copay: match)').choices(
        FINGERPRINT_WORDS,
      ),
    )
    .option('--class <code>', 'copay: class of health service (DE 48 SC): SUR, IMG, LAB, MED, CHR, TUM', text('a class', 8))
    .option(
      '--purse <name>',
      'balance: whose (cash, ration, bread, points); refund, reversal: with --original',
      text('a purse', 20),
    )
    .option('--advice', 'bread, ration: the terminal has approved it offline and tells so (0220)')
    .option('--local-time <time>', 'DE 13 and DE 12, MMDDhhmmss in Cairo: when it was approved offline (default: now)', localTime)
    .option('--timeout <seconds>', 'how long to wait for the answer', seconds, 10)
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExit codes: 0 approved, 1 declined, 2 wrong usage, 3 no answer or no connection.')
  const print = (output: string): void => {
    command.configureOutput().writeOut?.(output)
  }
  command.action(async (kind: SendKind, options: SendOptions) => {
    try {
      process.exitCode = await send(kind, options, print)
    } catch (error) {
      if (error instanceof UsageError || error instanceof ConfigError) {
        command.error(`error: ${error.message}`, { exitCode: EXIT_USAGE })
      }
      if (!(error instanceof NoAnswerError)) throw error
      command.error(`error: ${error.message}`, { exitCode: EXIT_NO_ANSWER })
    }
  })
  return command
}

const EXIT_APPROVED = 0
const EXIT_DECLINED = 1
const EXIT_USAGE = 2
const EXIT_NO_ANSWER = 3
const APPROVALS: readonly (string | undefined)[] = ['00', '10']

/** @returns the exit code */
async function send(kind: SendKind, options: SendOptions, print: (text: string) => void): Promise<number> {
  checkOptions(kind, options)
  const tls = tlsOf(options)
  const spec = messageSpec(options.spec)
  const stateFile = join(stateFolder(), 'last.json')
  const config = offlineConfig()
  const link = linkOf(config, options.spec)
  const accountTypes = { ...config.programme.accountTypes, ...link.accountTypes }
  const nowMs = Date.now()
  const target = {
    host: options.host,
    port: options.port ?? runningStack()?.ports[link.name] ?? link.port,
    spec: options.spec,
    framing: options.framing ?? link.framing,
  }
  const outgoing = composeMessage(kind, options, {
    nowMs,
    accountTypes,
    parameters: parametersOn(config.programme, cairoDay(nowMs)),
    sent: readSentMessages(stateFile).sent,
    takeStan: () => options.stan ?? takeStan(stateFile),
  })
  const encoded = encode(spec, outgoing.mti, outgoing.fields)
  if (!encoded.ok) throw new UsageError(`${encoded.error.path}: expected ${encoded.error.expected}, found ${encoded.error.found}`)
  const remember = (answer: Message | undefined): void =>
    rememberSent(
      stateFile,
      sentMessage(kind, outgoing, { responseCode: answer?.text(39), approvalCode: answer?.text(38) ?? outgoing.fields[38] }),
    )
  // Remembered before the answer is there: a message that nobody answered is the one to reverse.
  remember(undefined)
  const { answer, elapsedMs } = await ask(
    spec,
    { ...target, ...(tls === undefined ? {} : { tls }) },
    encoded.bytes,
    outgoing.fields[11] ?? '',
    options.timeout * 1000,
  )
  remember(answer)
  const request = decode(spec, encoded.bytes)
  if (!request.ok) throw new Error(`decode refuses what encode wrote: ${request.error.path}`)
  const report: Report = {
    kind,
    target,
    request: request.message,
    answer,
    elapsedMs,
    accountTypes,
    purses: config.programme.purses,
  }
  print(options.json === true ? reportJson(report) : reportText(report))
  return APPROVALS.includes(answer.text(39)) ? EXIT_APPROVED : EXIT_DECLINED
}

/** The first link of the configuration that speaks the dialect. */
function linkOf({ links }: Config, spec: SpecName): LinkConfig {
  const link = links.find((candidate) => candidate.spec === spec)
  if (link === undefined) throw new UsageError(`no link of the configuration speaks ${spec}; give --port and --framing`)
  return link
}

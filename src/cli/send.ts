/** `sarf send`: plays a terminal that sends one message, and shows what went out and what came back. */
import { randomBytes } from 'node:crypto'
import { Argument, Command, Option } from 'commander'
import { cairoDay } from '../clock.ts'
import { ConfigError, type Config } from '../config.ts'
import type { LinkConfig } from '../settings.ts'
import { decode } from '../iso8583/decode.ts'
import { encode } from '../iso8583/encode.ts'
import type { Message } from '../iso8583/message.ts'
import { messageSpec, SPEC_NAMES } from '../iso8583/messageSpec.ts'
import { runningStack, sentFile, stateFolder } from '../local/running.ts'
import { formatPrivateData } from '../iso8583/privateData.ts'
import { demoPin } from '../programme/demoVerification.ts'
import { parametersOn } from '../programmeParameters.ts'
import { REPORTS } from '../transaction/hotCardFile.ts'
import { coveredBy, makeRoomForMac, writeMac } from '../security/messageMac.ts'
import { profileOf } from '../securityParameters.ts'
import { checkAnswer } from './answerChecks.ts'
import { ask, NoAnswerError } from './ask.ts'
import { ENTRIES, showCard, shownBy, type Shown } from './cardShown.ts'
import { composeMessage, repeatable } from './composeMessage.ts'
import { FINGERPRINT_WORDS } from './goods.ts'
import { offlineConfig } from './offlineConfig.ts'
import {
  amount,
  basket,
  checkOptions,
  digits,
  expires,
  FRAMINGS,
  localTime,
  originalReference,
  port,
  pem,
  pinFormat,
  reference,
  seconds,
  text,
  tlsOf,
  totals,
  whole,
  type SendOptions,
} from './sendOptions.ts'
import { reportJson, reportText, type Report } from './sendReport.ts'
import { readSentMessages, rememberSent, rememberSessionKey, sentMessage, takeAtc, takeStan } from './sentMessages.ts'
import { terminalKeys, type SessionKeyBlock, type TerminalKeys } from './terminalKeys.ts'
import { SEND_KINDS, type OutgoingMessage, type SendKind } from './transactionMessage.ts'
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
    .addOption(
      new Option('--spec <name>', 'dialect; it also picks the link: the first that speaks it (default: ascii)').choices(
        SPEC_NAMES,
      ),
    )
    .option('--link <name>', 'the link of config/sarf.json, with its dialect, framing, port and keys: secure', text('a link', 11))
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
    .addOption(new Option('--entry <way>', 'how the card is read (default: chip, where it has one)').choices(ENTRIES))
    .option('--no-chip', 'the card number alone is keyed in')
    .option('--expires <MM/YY>', 'as it is embossed on a card that is none of the demo programme', expires)
    .option('--atc <number>', 'transaction counter of the chip (default: the next one)', whole('transactions', 1, 65_535))
    .option('--pin <digits>', 'the PIN (default: that of the demo card, where one is asked for)', digits('a PIN', 4, 12))
    .option('--no-pin', 'no PIN, even where one is asked for')
    .option('--pin-format <format>', "ISO 9564-1 format of the PIN block: 0, 3 or 4 (default: the link's)", pinFormat)
    .option('--plain', 'neither chip nor PIN: the bare message')
    .option('--new-pin <digits>', 'pin-change: the PIN from now on', digits('a PIN', 4, 12))
    .addOption(
      new Option('--new-key <purpose>', 'key-change: which key the new one takes the place of (default: mac)').choices([
        'mac',
        'pin',
      ]),
    )
    .addOption(
      new Option('--what <report>', 'hotcard: what is reported (DE 48 HR); without it: whether something was').choices(REPORTS),
    )
    .option('--reference <number>', 'hotcard: number of the call or police report (DE 48 RF)', reference)
    .option('--totals <list>', 'reconcile: what the terminal counts, DE 74 to 89 and 97: 76=3,88=2250,97=D2250', totals)
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
  const stateFile = sentFile(stateFolder())
  const config = offlineConfig()
  const link = linkOf(kind, config, options)
  const spec = messageSpec(options.spec ?? link.spec)
  const accountTypes = { ...config.programme.accountTypes, ...link.accountTypes }
  const target = {
    host: options.host,
    port: options.port ?? runningStack()?.ports[link.name] ?? link.port,
    spec: spec.name,
    framing: options.framing ?? link.framing,
  }
  const { base, shown, full, chip, keys, newKey } = prepare(kind, options, config, link, stateFile)
  const macKey = keys.mac()
  const fields = [...full.fields]
  if (macKey !== undefined) makeRoomForMac(fields)
  const encoded = encode(spec, full.mti, fields)
  if (!encoded.ok) throw new UsageError(`${encoded.error.path}: expected ${encoded.error.expected}, found ${encoded.error.found}`)
  if (macKey !== undefined) writeMac(spec, encoded.bytes, macKey.mac(coveredBy(spec, encoded.bytes)))
  const remember = (answer: Message | undefined): void =>
    rememberSent(
      stateFile,
      sentMessage(kind, base, shown, { responseCode: answer?.text(39), approvalCode: answer?.text(38) ?? base.fields[38] }),
    )
  // Remembered before the answer is there: a message that nobody answered is the one to reverse.
  remember(undefined)
  const { answer, frame, elapsedMs } = await ask(
    spec,
    { ...target, ...(tls === undefined ? {} : { tls }) },
    encoded.bytes,
    base.fields[11] ?? '',
    options.timeout * 1000,
  )
  const checks = checkAnswer(answer, frame, macKey, chip)
  const isAuthentic = checks.mac !== 'wrong'
  const isApproved = isAuthentic && APPROVALS.includes(answer.text(39))
  if (isAuthentic) remember(answer)
  if (isApproved && newKey !== undefined) rememberSessionKey(stateFile, newKey)
  const request = decode(spec, encoded.bytes)
  if (!request.ok) throw new Error(`decode refuses what encode wrote: ${request.error.path}`)
  const report: Report = {
    kind,
    target,
    request: request.message,
    answer,
    elapsedMs,
    checks,
    accountTypes,
    purses: config.programme.purses,
  }
  print(options.json === true ? reportJson(report) : reportText(report))
  if (!isAuthentic) return EXIT_NO_ANSWER
  return isApproved ? EXIT_APPROVED : EXIT_DECLINED
}

interface Prepared {
  /** Without card and holder: what is remembered. */
  readonly base: OutgoingMessage
  readonly shown: Shown
  readonly full: OutgoingMessage
  readonly chip: ReturnType<typeof showCard>['chip']
  readonly keys: TerminalKeys
  /** That the message carries. */
  readonly newKey: SessionKeyBlock | undefined
}

/** @throws UsageError */
function prepare(kind: SendKind, options: SendOptions, config: Config, link: LinkConfig, stateFile: string): Prepared {
  const nowMs = Date.now()
  const { sent, sessionKeys } = readSentMessages(stateFile)
  const parameters = parametersOn(config.programme, cairoDay(nowMs))
  const base = composeMessage(kind, options, {
    nowMs,
    accountTypes: { ...config.programme.accountTypes, ...link.accountTypes },
    parameters,
    sent,
    takeStan: () => options.stan ?? takeStan(stateFile),
  })
  const pan = base.fields[2]
  const keys = terminalKeys(link, base.fields[41] ?? '', sessionKeys)
  if (kind === 'key-change') {
    const newKey = keys.newKey(options.newKey ?? 'mac')
    const fields = [...base.fields]
    fields[48] = formatPrivateData([
      { tag: 'KB', value: newKey.block },
      { tag: 'KC', value: newKey.kcv },
    ])
    return { base, shown: {}, full: { mti: base.mti, fields }, chip: undefined, keys, newKey }
  }
  if (pan === undefined) return { base, shown: {}, full: base, chip: undefined, keys, newKey: undefined }
  const profile = profileOf(config.security, pan)
  const pinFormat = link.pin?.format ?? 0
  const takeCounter = (): number => {
    const atc = takeAtc(stateFile, pan, options.atc)
    if (atc === undefined) throw new UsageError('the chip of this card has used up its transaction counter; take another card')
    return atc
  }
  const shown =
    options.repeat === true
      ? (repeatable(kind, sent).shown ?? {})
      : shownBy(kind, options, base, {
          nowMs,
          parameters,
          profile,
          pinFormat,
          unpredictableNumber: () => randomBytes(4),
          takeAtc: takeCounter,
        })
  const { message: full, chip } = showCard(base, shown, {
    profile,
    pin: typeof options.pin === 'string' ? options.pin : demoPin(pan),
    newPin: options.newPin,
    expires: options.expires,
    pinFormat,
    pinKey: (format) => keys.pin(format),
  })
  return { base, shown, full, chip, keys, newKey: undefined }
}

/** The link that was named, else the first one that speaks the dialect, of file updates the first that may send them. */
function linkOf(kind: SendKind, { links }: Config, { link: name, spec }: SendOptions): LinkConfig {
  const usual = (candidate: LinkConfig): boolean =>
    kind === 'hotcard' && spec === undefined ? candidate.hotCards === true : candidate.spec === (spec ?? 'ascii')
  const link = links.find((candidate) => (name === undefined ? usual(candidate) : candidate.name === name))
  if (link !== undefined) return link
  if (name !== undefined)
    throw new UsageError(`there is no link ${name}; there are: ${links.map((known) => known.name).join(', ')}`)
  throw new UsageError(
    `no link of the configuration speaks ${spec ?? 'ascii'} or may send file updates; give --port and --framing`,
  )
}

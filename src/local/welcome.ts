/** What `npm start` prints once the switch takes messages: where it listens, with what to try it, and how. */
import type { Config } from '../config.ts'
import { formatAmount } from '../money.ts'
import { demoCards, demoTerminals, type DemoTerminal, type ShownCard } from '../programme/demo.ts'

const FRAMINGS = { length2: '2-byte length', 'length2-tpdu': '2-byte length and TPDU', length4: '4-digit length' } as const
const SPECS = { ascii: 'ASCII, binary bitmap', bcd: 'BCD, binary bitmap', hex: 'ASCII, hex bitmap' } as const

export function welcome(config: Config, ports: Readonly<Record<string, number>>): string {
  const address = (name: string): string => `${config.host}:${ports[name] ?? '?'}`
  const http = `http://${address('http')}`
  const rows = (heading: string, lines: readonly string[]): string[] => ['', heading, ...lines.map((line) => `  ${line}`)]
  return [
    ...rows('sarf is ready', [
      ...config.links.map(
        (link) =>
          `${link.name.padEnd(10)}${address(link.name).padEnd(18)}ISO 8583:1987 ${SPECS[link.spec]}, ${FRAMINGS[link.framing]}`,
      ),
      `${'http'.padEnd(10)}${http}`,
    ]),
    ...rows('demo cards', demoCards.map(cardLine)),
    ...rows('demo terminals', firstOfEachClass().map(terminalLine)),
    ...rows('try next', [
      'npm run -s sarf -- send purchase --amount 12.50',
      'npm run -s sarf -- audit',
      `${http}/docs`,
      'Ctrl-C to stop',
    ]),
    '',
    '',
  ].join('\n')
}

function cardLine({ pan, expiry, balance, note }: ShownCard): string {
  const opened = balance === undefined ? 'no cash' : `opened with ${formatAmount(balance).padStart(8)} EGP`
  return `${pan}  expiry (YYMM) ${expiry}  ${opened.padEnd(24)}  ${note}`
}

function firstOfEachClass(): DemoTerminal[] {
  const firsts = new Map<string, DemoTerminal>()
  for (const terminal of demoTerminals()) if (!firsts.has(terminal.class)) firsts.set(terminal.class, terminal)
  return [...firsts.values()]
}

function terminalLine(terminal: DemoTerminal): string {
  return `${terminal.terminalId}  acceptor ${terminal.acceptorId}  ${terminal.class}, ${terminal.merchantName}`
}

/** The switch as a process of its own. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, it, vi } from 'vitest'
import { freePort } from '../src/local/ports.ts'
import { connect } from '../src/transport/client.ts'
import { makeAuthority, type TestAuthority, type TestCertificate } from './support/certificates.ts'
import { createDatabase, createRedis, temporaryDirectory } from './support/stack.ts'

const stops: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

it('reads its certificates again on SIGHUP, and keeps the old ones where the new ones are not good', async () => {
  const folder = temporaryDirectory()
  const first = makeAuthority(folder)
  const second = makeAuthority(folder)
  const use = (authority: TestAuthority): void => {
    const server = authority.issue('switch', 'serverAuth')
    copyFileSync(server.certFile, join(folder, 'switch.pem'))
    copyFileSync(server.keyFile, join(folder, 'switch.key'))
    copyFileSync(authority.certFile, join(folder, 'acquirers.pem'))
  }
  use(first)
  const running = await startProcess(folder, { certFile: 'switch.pem', keyFile: 'switch.key', clientCaFile: 'acquirers.pem' })
  const old = first.issue('acquirer')
  const renewed = second.issue('acquirer')
  await vi.waitUntil(() => answers(running.port, first, old), { timeout: 60_000, interval: 100 })

  writeFileSync(join(folder, 'switch.key'), 'half a file')
  await hungUp(running, 'the old certificates stay in use: ConfigError: link gateway: tls.keyFile')
  expect(await answers(running.port, first, old)).toBe(true)

  use(second)
  await hungUp(running, 'certificates were read again')
  expect(await answers(running.port, second, renewed)).toBe(true)
  expect(await answers(running.port, second, old)).toBe(false)
})

/** Sends SIGHUP until it is followed: it comes to nothing while the switch is still starting behind its open links. */
async function hungUp(running: { said(): string; hangUp(): void }, text: string): Promise<void> {
  await vi.waitUntil(
    () => {
      running.hangUp()
      return running.said().includes(text)
    },
    { timeout: 30_000, interval: 200 },
  )
}

/** `node src/main.ts` with TLS on its link `gateway`. */
async function startProcess(folder: string, tls: object): Promise<{ readonly port: number; said(): string; hangUp(): void }> {
  const settings = JSON.parse(readFileSync(new URL('../config/sarf.json', import.meta.url), 'utf8')) as {
    links: { name: string }[]
  }
  const links = settings.links.map((link) => (link.name === 'gateway' ? { ...link, tls } : link))
  writeFileSync(join(folder, 'sarf.json'), JSON.stringify({ ...settings, links }))
  const [databaseUrl, redisUrl, port] = await Promise.all([createDatabase(), createRedis(), freePort()])
  const environment = {
    PATH: process.env['PATH'],
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
    SARF_CONFIG: join(folder, 'sarf.json'),
    SARF_LOG_LEVEL: 'error',
    SARF_PORT_GATEWAY: String(port),
    SARF_PORT_SECURE: '0',
    SARF_PORT_ATM: '0',
    SARF_PORT_POS: '0',
    SARF_PORT_HTTP: '0',
  }
  const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
  const child = spawn(process.execPath, [main], { env: environment, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (bytes: Buffer) => {
    said += bytes.toString()
  })
  stops.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    await once(child, 'close')
  })
  return { port, said: () => said, hangUp: () => child.kill('SIGHUP') }
}

/** Whether the switch answers an echo of a client with that certificate, and is who it should be. */
async function answers(port: number, authority: TestCertificate, { cert, key }: TestCertificate): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const options = { host: '127.0.0.1', port, framing: 'length4', tls: { ca: authority.cert, cert, key } } as const
  try {
    const client = await connect({ ...options, onPayload: () => resolve(true), onClose: () => resolve(false) })
    client.send(Buffer.from('0800822000000000000004000000000000001122151200000001301'))
    const answered = await promise
    client.destroy()
    return answered
  } catch {
    return false
  }
}

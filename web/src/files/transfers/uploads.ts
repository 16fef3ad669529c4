/**
 * The uploads of this page. They run outside of React, so that they go on while other pages are looked at; what happens
 * when is the queue's to say ({@link step}).
 */

import { createStore } from '~/util/store'
import type { Machine } from '../machine'
import { hashOf } from './file-hash'
import { Speed } from './speed'
import { isOver, type Queue, startable, step, type TransferEvent } from './transfer-queue'
import { dropUpload, mayComeBack, sendUpload } from './upload'

/** How long one that gets no further is tried again. */
const PATIENCE_MS = 120_000
const FIRST_WAIT_MS = 500
const LONGEST_WAIT_MS = 5_000
/** How often it is told how much was checked. */
const CHECKED_STEP_BYTES = 4 * 1024 * 1024

interface Job {
  machine: Machine
  file: File
  stop: AbortController | undefined
  release: () => void
  retry: { since: number; wait: number; furthest: number; timer?: ReturnType<typeof setTimeout> }
  onDone: () => void
}

export const uploads = createStore<Queue>([])
const jobs = new Map<string, Job>()

export interface NewUpload {
  machine: Machine
  file: File
  /** Where it goes. */
  path: string
  /** It is there. */
  onDone: () => void
}

export function addUpload({ machine, file, path, onDone }: NewUpload): void {
  const id = crypto.randomUUID()
  const release = machine.use()
  jobs.set(id, { machine, file, stop: undefined, release, retry: freshRetry(), onDone })
  tell({ type: 'added', id, path, size: file.size, overwrite: false })
}

export function pauseUpload(id: string): void {
  const job = jobs.get(id)
  clearTimeout(job?.retry.timer)
  tell({ type: 'paused', id })
  job?.stop?.abort()
}

export function resumeUpload(id: string, overwrite?: boolean): void {
  const job = jobs.get(id)
  if (job) {
    clearTimeout(job.retry.timer)
    job.retry = freshRetry()
  }
  tell({ type: 'resumed', id, ...(overwrite === undefined ? {} : { overwrite }) })
}

/** Takes an upload away, and from the machine what it has left there. */
export function cancelUpload(id: string): void {
  const job = jobs.get(id)
  const transfer = uploads.get().find(one => one.id === id)
  tell({ type: 'removed', id })
  if (!job) return
  clearTimeout(job.retry.timer)
  job.stop?.abort()
  jobs.delete(id)
  const { machine, release } = job
  const left = transfer?.sha256 && transfer.state !== 'done'
  const dropped = left
    ? dropUpload({ ...transfer, machine, sha256: transfer.sha256 ?? '' })
    : Promise.resolve()
  // What is left is beside its target and bothers nobody; another upload of the same goes on with it.
  dropped.catch(() => undefined).finally(release)
}

/** Takes away those that are done or have failed. */
export function clearUploads(): void {
  for (const transfer of uploads.get().filter(isOver)) {
    if (transfer.state === 'failed') cancelUpload(transfer.id)
    else jobs.delete(transfer.id)
  }
  tell({ type: 'cleared' })
}

const freshRetry = () => ({ since: Date.now(), wait: FIRST_WAIT_MS, furthest: 0 })

function tell(event: TransferEvent): void {
  uploads.set(queue => step(queue, event))
  for (const transfer of startable(uploads.get())) begin(transfer.id)
}

function begin(id: string): void {
  uploads.set(queue => step(queue, { type: 'began', id }))
  const job = jobs.get(id)
  if (!job) return
  const stop = new AbortController()
  job.stop = stop
  run(id, job, stop.signal).then(
    () => {
      job.release()
      tell({ type: 'finished', id })
      job.onDone()
    },
    error => {
      // One that was paused or cancelled says so itself.
      if (!stop.signal.aborted) fail(id, job, error)
    },
  )
}

async function run(id: string, job: Job, signal: AbortSignal): Promise<void> {
  const { machine, file } = job
  const find = () => uploads.get().find(one => one.id === id)
  if (!find()?.sha256) {
    const tellChecked = (bytes: number) => {
      if (bytes % CHECKED_STEP_BYTES === 0) tell({ type: 'checked', id, bytes })
    }
    const sha256 = await hashOf(file, signal, tellChecked)
    tell({ type: 'named', id, sha256 })
  }
  const transfer = find()
  if (!transfer?.sha256) return
  let speed: Speed | undefined
  const { path, overwrite, sha256 } = transfer
  await sendUpload({ machine, file, path, sha256, overwrite }, signal, bytes => {
    speed ??= new Speed(bytes)
    noteProgress(job, bytes)
    tell({ type: 'progressed', id, bytes, speed: speed.take(bytes) })
  })
}

function noteProgress({ retry }: Job, bytes: number): void {
  if (bytes <= retry.furthest) return
  Object.assign(retry, { ...freshRetry(), furthest: bytes })
}

function fail(id: string, job: Job, error: unknown): void {
  const { retry } = job
  if (!mayComeBack(error) || Date.now() - retry.since >= PATIENCE_MS) {
    tell({ type: 'failed', id, error })
    return
  }
  tell({ type: 'broke', id, error })
  retry.timer = setTimeout(() => tell({ type: 'resumed', id }), retry.wait)
  retry.wait = Math.min(retry.wait * 2, LONGEST_WAIT_MS)
}

window.addEventListener('beforeunload', event => {
  // Browsers ask by themselves; what was sent is gone on with when the same file is chosen again.
  if (uploads.get().some(transfer => !isOver(transfer))) event.preventDefault()
})

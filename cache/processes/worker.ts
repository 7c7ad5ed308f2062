import cluster from 'node:cluster';
import type { Downward, Question, Ready, Upward } from './messages.ts';

/** The other processes of the same data plane. */
export interface Others {
  /** Which of them this one is: 1 and up. */
  readonly name: string;
  /** What the others answer, in no order; without those that end meanwhile or take seconds. */
  ask(question: Question): Promise<readonly unknown[]>;
  /** How this one answers. Once. */
  answerBy(answer: (question: Question) => unknown): void;
}

/** One process among several, as the one that started it sees it. */
export type Worker = {
  readonly others: Others;
  /** This one listens now. */
  readonly listening: (ready: Ready) => void;
  /** Runs `relay` for each address to hand actions on to. */
  readonly onRelay: (relay: (coordinator: string) => void) => void;
};

/** Undefined where this process is a data plane by itself, or the one that starts the others. */
export function workerHere(): Worker | undefined {
  const { worker } = cluster;
  if (worker === undefined) return undefined;
  const send = (message: Upward) => {
    if (worker.isConnected()) worker.send(message);
  };
  const waiting = new Map<number, (answers: readonly unknown[]) => void>();
  let lastId = 0;
  let answer: (question: Question) => unknown = () => undefined;
  let relay: (coordinator: string) => void = () => {};
  worker.on('message', (message: Downward) => {
    if (message.kind === 'relay') relay(message.coordinator);
    else if (message.kind === 'answers') {
      waiting.get(message.id)?.(message.answers);
      waiting.delete(message.id);
    } else {
      const { id } = message;
      void Promise.resolve(answer(message.question)).then((said) => send({ kind: 'answer', id, answer: said }));
    }
  });
  return {
    others: {
      name: String(worker.id),
      ask: (question) =>
        new Promise((resolve) => {
          lastId += 1;
          waiting.set(lastId, resolve);
          send({ kind: 'ask', id: lastId, question });
        }),
      answerBy: (by) => void (answer = by),
    },
    listening: (ready) => send({ kind: 'ready', ready }),
    onRelay: (to) => void (relay = to),
  };
}

import { isCode, isTest, perLine, withoutComments, type Check } from './source.ts';

/** These files hold samples of what they look for. */
function isSample(path: string): boolean {
  return path.startsWith('test/tidy');
}

const LINES_MAX = 500;
const COLUMNS_MAX = 140;

/** A line with a text in quotes that the formatter cannot break: messages stay whole, so that they can be searched for. */
const COLUMNS_WITH_TEXT_MAX = 180;
const LONG_TEXT = /'[^']{50,}'|`[^`]{50,}|"[^"]{50,}"/;

export const checkSize: Check = ({ path, text }) => {
  if (!isCode(path)) return [];
  const lineCount = text.split('\n').length - 1;
  const long = perLine(text, (line) => {
    const most = LONG_TEXT.test(line) ? COLUMNS_WITH_TEXT_MAX : COLUMNS_MAX;
    return line.length > most ? `${line.length} columns, the most are ${most}` : undefined;
  });
  return [...(lineCount > LINES_MAX ? [`${lineCount} lines, the most are ${LINES_MAX}: split it by behaviour`] : []), ...long];
};

const JUNK_NAME = /(^|\/)(utils?|helpers?|common|misc|shared|index)(\.[a-z]+|\/)/;

export const checkName: Check = ({ path }) => {
  if (!isCode(path)) return [];
  const file = path.split('/').at(-1) ?? '';
  const problems = JUNK_NAME.test(path) ? ['is named for nothing: name it after the one noun that it holds'] : [];
  return /^[a-z0-9]+([-.][a-z0-9]+)*\.(ts|js|mjs)$/.test(file) ? problems : [...problems, 'must be named in kebab-case'];
};

const LEFTOVERS = /\b(FIXME|TODO|XXX|HACK)\b/;
const ONLY = /\b(test|describe|it)\.only\b/;

export const checkLeftovers: Check = ({ path, text }) => {
  if (isSample(path) || (!isCode(path) && !/\.(proto|md|ya?ml)$/.test(path))) return [];
  return perLine(text, (line) => {
    if (LEFTOVERS.test(line)) return 'a leftover: do it, or say in plain words why not';
    return isCode(path) && ONLY.test(line) ? 'runs one test instead of all' : undefined;
  });
};

const CLOCKS = /\b(Date\.now|performance\.now)\s*\(|\bnew Date\(\s*\)/;
const RANDOM = /\bMath\.random\b/;
const MOCKS = /\bvi\.mock\b/;

/** Time and chance come in as arguments; parts of ours are never mocked. */
export const checkCalls: Check = ({ path, text }) => {
  if (!path.endsWith('.ts') || !isCode(path) || isSample(path)) return [];
  return perLine(withoutComments(text), (line) => {
    if (path !== 'base/clock.ts' && CLOCKS.test(line)) return 'reads the clock: take a Clock';
    if (RANDOM.test(line)) return 'draws chance: take a Prng';
    return MOCKS.test(line) ? 'mocks a module: use the memory implementation' : undefined;
  });
};

const ENVIRONMENT = /\bprocess\.env\b/;

/** Only main.ts files, the launcher, and what runs outside the program read the environment. */
export const checkEnvironment: Check = ({ path, text }) => {
  if (!isCode(path) || isTest(path) || path.endsWith('/main.ts') || /^(bin|scripts|docs)\/|\.config\.ts$/.test(path)) return [];
  return perLine(withoutComments(text), (line) => (ENVIRONMENT.test(line) ? 'reads process.env: take an option' : undefined));
};

const MACHINE = /(^|[\s'"`(=:])\/(work\/main|work\/shared|Users)\b/;
const REGISTRY = /https?:\/\/[^\s"'`)]*(registry|artifactory|nexus|verdaccio|mirror|proxy)[^\s"'`)]*/;

/** Nothing depends on the machine or the network that the project was made on. */
export const checkPlaces: Check = ({ path, text }) => {
  if (isSample(path) || /^(LICENSE|proto\/(google|build)\/)/.test(path)) return [];
  return perLine(text, (line) => {
    if (REGISTRY.test(line)) return 'names a package registry or mirror';
    return MACHINE.test(line) && !isTest(path) ? 'names a path of one machine' : undefined;
  });
};

/** One title per page, and every relative link leads to a file. `exists` is asked with paths from the root. */
export function checkMarkdown(exists: (path: string) => boolean): Check {
  return ({ path, text }) => {
    if (!path.endsWith('.md')) return [];
    const prose = text.replaceAll(/```[\s\S]*?```/g, '').replaceAll(/`[^`\n]*`/g, '');
    const titles = prose.split('\n').filter((line) => line.startsWith('# ')).length;
    const dead = [...prose.matchAll(/\]\(([^)\s#]+)(?:#[^)]*)?\)/g)].flatMap(([, link = '']) => {
      if (/^[a-z]+:/.test(link)) return [];
      const target = new URL(link, `file:///${path}`).pathname.slice(1);
      return exists(decodeURIComponent(target)) ? [] : [`the link to ${link} leads nowhere`];
    });
    return [...(titles === 1 ? [] : [`has ${titles} titles ("# "), wants 1`]), ...dead];
  };
}

/**
 * Every service, rpc, message and enum of our own protocol is explained: the files are the manual. A request or response
 * may leave it to its rpc.
 */
export const checkProtoComments: Check = ({ path, text }) => {
  if (!/^proto\/switchyard\/.*\.proto$/.test(path)) return [];
  const lines = text.split('\n');
  return lines.flatMap((line, index) => {
    const name = /^\s*(?:service|rpc|message|enum)\s+(\w+)/.exec(line)?.[1];
    if (name === undefined || /(Request|Response)$/.test(name) || lines[index - 1]?.trim().startsWith('//')) return [];
    return [`line ${index + 1}: ${name} has no comment`];
  });
};

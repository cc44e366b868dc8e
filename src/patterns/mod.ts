export { type IgnoreRule, lastMatch, parseIgnoreFile } from "./gitignore.js";
export { type ComponentMatcher, compileComponent } from "./path-match.js";
export { foldCase, pathText, textBytes } from "./path-text.js";
export { parsePatternFile, readTextLines, trimSpace } from "./pattern-file.js";
export { PatternList, type PatternMatch, type PatternOptions, parsePatterns } from "./pattern-list.js";

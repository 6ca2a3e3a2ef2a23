//! What a Parquet file says of itself, walked before anybody believes it.
//!
//! The parquet crate makes room for as many things as a count says, and takes each field for what it
//! shall be, whatever its type: a few bytes can ask for terabytes, which ends the process. So the
//! footer and every page's header are walked here first, over bytes that are there, by the shapes
//! below; lists have as many elements as they say, and what nests does so in bounds.
//!
//! Source: Thrift's compact protocol; parquet-format's parquet.thrift.

/// The deepest nesting of columns.
const SCHEMA_DEPTH_MAX: usize = 64;

/// The crate's own limit.
const ROW_GROUPS_MAX: usize = i16::MAX as usize;

/// parquet.thrift's Encoding.
const DELTA_BYTE_ARRAY: i64 = 7;

/// Of any list.
const ELEMENTS_MAX: usize = 1 << 20;

/// Of structures that no shape knows.
const SKIP_DEPTH_MAX: usize = 32;

/// Why a walk ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// The bytes end.
    Short,
    Malformed,
    Encrypted,
}

type Walked<T> = Result<T, Halt>;

/// What a field is.
enum Kind {
    Bool,
    I8,
    I16,
    I32,
    I64,
    Double,
    Binary,
    List(&'static Kind),
    Struct(&'static [(i16, Kind)]),
    /// Only files that are encrypted have it.
    Secret,
}

use Kind::*;

const EMPTY: Kind = Struct(&[]);
const TIME_UNIT: Kind = Struct(&[(1, EMPTY), (2, EMPTY), (3, EMPTY)]);
const TIME: Kind = Struct(&[(1, Bool), (2, TIME_UNIT)]);
const LOGICAL_TYPE: Kind = Struct(&[
    (1, EMPTY),
    (2, EMPTY),
    (3, EMPTY),
    (4, EMPTY),
    (5, Struct(&[(1, I32), (2, I32)])),
    (6, EMPTY),
    (7, TIME),
    (8, TIME),
    (10, Struct(&[(1, I8), (2, Bool)])),
    (11, EMPTY),
    (12, EMPTY),
    (13, EMPTY),
    (14, EMPTY),
    (15, EMPTY),
    (16, Struct(&[(1, I8)])),
    (17, Struct(&[(1, Binary)])),
    (18, Struct(&[(1, Binary), (2, I32)])),
]);
const SCHEMA_ELEMENT: &[(i16, Kind)] = &[
    (1, I32),
    (2, I32),
    (3, I32),
    (4, Binary),
    (5, I32), // children
    (6, I32),
    (7, I32),
    (8, I32),
    (9, I32),
    (10, LOGICAL_TYPE),
];
const KEY_VALUE: Kind = Struct(&[(1, Binary), (2, Binary)]);
const STATISTICS: Kind = Struct(&[
    (1, Binary),
    (2, Binary),
    (3, I64),
    (4, I64),
    (5, Binary),
    (6, Binary),
    (7, Bool),
    (8, Bool),
    (9, I64),
]);
const BOX: Kind = Struct(&[
    (1, Double),
    (2, Double),
    (3, Double),
    (4, Double),
    (5, Double),
    (6, Double),
    (7, Double),
    (8, Double),
]);
const COLUMN_METADATA: Kind = Struct(&[
    (1, I32),
    (2, List(&I32)),
    (3, List(&Binary)),
    (4, I32),
    (5, I64),
    (6, I64),
    (7, I64),
    (8, List(&KEY_VALUE)),
    (9, I64),
    (10, I64),
    (11, I64),
    (12, STATISTICS),
    (13, List(&Struct(&[(1, I32), (2, I32), (3, I32)]))),
    (14, I64),
    (15, I32),
    (16, Struct(&[(1, I64), (2, List(&I64)), (3, List(&I64))])),
    (17, Struct(&[(1, BOX), (2, List(&I32))])),
]);
const COLUMN_CHUNK: Kind = Struct(&[
    (1, Binary),
    (2, I64),
    (3, COLUMN_METADATA),
    (4, I64),
    (5, I32),
    (6, I64),
    (7, I32),
    (8, Secret),
    (9, Secret),
]);
const ROW_GROUP: Kind = Struct(&[
    (1, List(&COLUMN_CHUNK)),
    (2, I64),
    (3, I64),
    (4, List(&Struct(&[(1, I32), (2, Bool), (3, Bool)]))),
    (5, I64),
    (6, I64),
    (7, I16),
]);
const FILE_METADATA: &[(i16, Kind)] = &[
    (1, I32),
    (2, List(&Struct(SCHEMA_ELEMENT))),
    (3, I64),
    (4, List(&ROW_GROUP)),
    (5, List(&KEY_VALUE)),
    (6, Binary),
    (7, List(&Struct(&[(1, EMPTY), (2, EMPTY)]))),
    (8, Secret),
    (9, Secret),
];
const DATA_PAGE: Kind = Struct(&[(1, I32), (2, I32), (3, I32), (4, I32), (5, STATISTICS)]);
const DICTIONARY_PAGE: Kind = Struct(&[(1, I32), (2, I32), (3, Bool)]);
const DATA_PAGE_V2: Kind = Struct(&[
    (1, I32),
    (2, I32),
    (3, I32),
    (4, I32),
    (5, I32),
    (6, I32),
    (7, Bool),
    (8, STATISTICS),
]);
const PAGE_HEADER: &[(i16, Kind)] = &[
    (1, I32),
    (2, I32),
    (3, I32),
    (4, I32),
    (5, DATA_PAGE),
    (6, EMPTY),
    (7, DICTIONARY_PAGE),
    (8, DATA_PAGE_V2),
];

/// Bytes of the compact protocol, taken from the front.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Where numbers are met: the fields that lead to them, the innermost last, and the number.
type Visit<'v> = dyn FnMut(&[i16], i64) -> Walked<()> + 'v;

impl Walk<'_> {
    fn byte(&mut self) -> Walked<u8> {
        let byte = *self.bytes.get(self.at).ok_or(Halt::Short)?;
        self.at += 1;
        Ok(byte)
    }

    fn skip(&mut self, length: u64) -> Walked<()> {
        if length > (self.bytes.len() - self.at) as u64 {
            return Err(Halt::Short);
        }
        self.at += length as usize;
        Ok(())
    }

    fn varint(&mut self) -> Walked<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Halt::Malformed)
    }

    fn number(&mut self) -> Walked<i64> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// The number and the type of the next field; None behind the last.
    fn field(&mut self, before: i16) -> Walked<Option<(i16, u8)>> {
        let head = self.byte()?;
        if head == 0 {
            return Ok(None);
        }
        let id = match head >> 4 {
            0 => i16::try_from(self.number()?).map_err(|_| Halt::Malformed)?,
            delta => before.checked_add(i16::from(delta)).ok_or(Halt::Malformed)?,
        };
        Ok(Some((id, head & 15)))
    }

    /// Element type and number of a list that begins here.
    fn list(&mut self) -> Walked<(u8, usize)> {
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => self.varint()?,
            count => u64::from(count),
        };
        if count > ELEMENTS_MAX as u64 {
            return Err(Halt::Malformed);
        }
        Ok((head & 15, count as usize))
    }

    /// Passes over something of a type, whatever it is; `alone`: no field's head went before.
    fn unknown(&mut self, type_: u8, alone: bool, depth: usize) -> Walked<()> {
        if depth > SKIP_DEPTH_MAX {
            return Err(Halt::Malformed);
        }
        match type_ {
            1 | 2 => self.skip(u64::from(alone)),
            3 => self.skip(1),
            4..=6 => self.varint().map(|_| ()),
            7 => self.skip(8),
            8 => {
                let length = self.varint()?;
                self.skip(length)
            }
            9 | 10 => {
                let (element, count) = self.list()?;
                (0..count).try_for_each(|_| self.unknown(element, true, depth + 1))
            }
            12 => {
                let mut last = 0;
                while let Some((id, type_)) = self.field(last)? {
                    self.unknown(type_, false, depth + 1)?;
                    last = id;
                }
                Ok(())
            }
            _ => Err(Halt::Malformed),
        }
    }

    fn known(
        &mut self,
        kind: &Kind,
        type_: u8,
        alone: bool,
        path: &mut Vec<i16>,
        visit: &mut Visit<'_>,
    ) -> Walked<()> {
        match (kind, type_) {
            (Secret, _) => Err(Halt::Encrypted),
            (Bool, 1 | 2) => self.skip(u64::from(alone)),
            (I8, 3) => self.skip(1),
            (I16, 4) | (I32, 5) | (I64, 6) => {
                let number = self.number()?;
                visit(path, number)
            }
            (Double, 7) => self.skip(8),
            (Binary, 8) => self.unknown(8, alone, 0),
            (List(element), 9) => {
                let (type_, count) = self.list()?;
                visit(path, count as i64)?;
                (0..count).try_for_each(|_| self.known(element, type_, true, path, visit))
            }
            (Struct(fields), 12) => self.structure(fields, path, visit),
            _ => Err(Halt::Malformed),
        }
    }

    fn structure(
        &mut self,
        fields: &[(i16, Kind)],
        path: &mut Vec<i16>,
        visit: &mut Visit<'_>,
    ) -> Walked<()> {
        let mut last = 0;
        while let Some((id, type_)) = self.field(last)? {
            path.push(id);
            match fields.iter().find(|(known, _)| *known == id) {
                Some((_, kind)) => self.known(kind, type_, false, path, visit)?,
                None => self.unknown(type_, false, 0)?,
            }
            path.pop();
            last = id;
        }
        // So that whoever visits knows where an element ends.
        visit(path, i64::MIN)
    }
}

/// How deep the columns nest, and that it ends.
#[derive(Default)]
struct Tree {
    /// Children still to come, outermost first.
    open: Vec<i64>,
    children: i64,
}

impl Tree {
    fn element(&mut self) -> Walked<()> {
        while self.open.last() == Some(&0) {
            self.open.pop();
        }
        if let Some(left) = self.open.last_mut() {
            *left -= 1;
        }
        let children = std::mem::take(&mut self.children);
        if children > 0 {
            self.open.push(children);
        }
        if children < 0 || self.open.len() > SCHEMA_DEPTH_MAX {
            return Err(Halt::Malformed);
        }
        Ok(())
    }
}

/// Walks a file's metadata.
pub fn check_footer(bytes: &[u8]) -> Walked<()> {
    let mut tree = Tree::default();
    let mut visit = |path: &[i16], number: i64| match (path, number) {
        ([2, 5], children) if children != i64::MIN => {
            tree.children = children;
            Ok(())
        }
        ([2], i64::MIN) => tree.element(),
        ([4], count) if count > ROW_GROUPS_MAX as i64 => Err(Halt::Malformed),
        _ => Ok(()),
    };
    Walk { bytes, at: 0 }.structure(FILE_METADATA, &mut vec![], &mut visit)
}

/// What the head of a page says.
#[derive(Debug, Default)]
pub struct PageHead {
    /// Bytes of the head itself.
    pub length: usize,
    pub compressed: i64,
    pub uncompressed: i64,
    /// Of a data page.
    pub values: Option<i64>,
    /// Of a dictionary.
    pub dictionary: Option<i64>,
    /// Of a data page: a value may be as long as all before it, and takes a few bytes.
    pub shares_prefixes: bool,
}

/// Walks the head of the page that begins here.
pub fn read_page_head(bytes: &[u8]) -> Walked<PageHead> {
    let mut head = PageHead::default();
    let mut walk = Walk { bytes, at: 0 };
    let mut visit = |path: &[i16], number: i64| {
        match path {
            _ if number == i64::MIN => return Ok(()),
            [5 | 7 | 8, 1 | 2 | 3 | 5 | 6] | [2 | 3] if number < 0 => return Err(Halt::Malformed),
            _ => (),
        }
        match path {
            [2] => head.uncompressed = number,
            [3] => head.compressed = number,
            [5 | 8, 1] => head.values = Some(number),
            [5, 2] | [8, 4] => head.shares_prefixes = number == DELTA_BYTE_ARRAY,
            [7, 1] => head.dictionary = Some(number),
            _ => (),
        }
        Ok(())
    };
    walk.structure(PAGE_HEADER, &mut vec![], &mut visit)?;
    head.length = walk.at;
    Ok(head)
}

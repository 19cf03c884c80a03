//! A table of named columns, written as CSV and as Parquet, read back from Parquet.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{ConvertedType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::record::Field;
use parquet::schema::types::{Type, TypePtr};

use super::TableError;

/// A table of columns of equal length.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Table {
    /// Names and columns, in order.
    pub columns: Vec<(String, Column)>,
}

/// A column; an absent value is an empty CSV field and a Parquet null.
#[derive(Clone, PartialEq, Debug)]
pub enum Column {
    /// Integers. Written as signed 64 bits, which all readers know; larger ones are cut to that.
    Integer(Vec<Option<u64>>),
    /// Numbers of reports.
    Real(Vec<Option<f64>>),
    /// Yes or no.
    Flag(Vec<bool>),
    /// Text.
    Text(Vec<String>),
}

impl Column {
    /// A column of integers that are all there.
    pub(crate) fn whole(values: impl Iterator<Item = u64>) -> Self {
        Self::Integer(values.map(Some).collect())
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Integer(values) => values.len(),
            Self::Real(values) => values.len(),
            Self::Flag(values) => values.len(),
            Self::Text(values) => values.len(),
        }
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn text(&self, row: usize) -> String {
        let shown = match self {
            Self::Integer(values) => values[row].map(|value| value.to_string()),
            Self::Real(values) => values[row].map(|value| value.to_string()),
            Self::Flag(values) => Some(values[row].to_string()),
            Self::Text(values) => Some(values[row].clone()),
        };
        shown.unwrap_or_default()
    }

    fn field_type(&self, name: &str) -> Result<Type, ParquetError> {
        let (physical, repetition) = match self {
            Self::Integer(_) => (Physical::INT64, Repetition::OPTIONAL),
            Self::Real(_) => (Physical::DOUBLE, Repetition::OPTIONAL),
            Self::Flag(_) => (Physical::BOOLEAN, Repetition::REQUIRED),
            Self::Text(_) => (Physical::BYTE_ARRAY, Repetition::REQUIRED),
        };
        let builder = Type::primitive_type_builder(name, physical).with_repetition(repetition);
        match self {
            Self::Text(_) => builder.with_converted_type(ConvertedType::UTF8).build(),
            _ => builder.build(),
        }
    }

    fn write(&self, group: &mut SerializedRowGroupWriter<'_, File>) -> Result<(), ParquetError> {
        match self {
            Self::Integer(values) => {
                let signed = values
                    .iter()
                    .map(|value| value.map(|value| i64::try_from(value).unwrap_or(i64::MAX)));
                write_optional::<Int64Type>(group, signed)
            }
            Self::Real(values) => write_optional::<DoubleType>(group, values.iter().copied()),
            Self::Flag(values) => write_values::<BoolType>(group, values, None),
            Self::Text(values) => {
                let texts: Vec<ByteArray> =
                    values.iter().map(|text| text.as_str().into()).collect();
                write_values::<ByteArrayType>(group, &texts, None)
            }
        }
    }

    fn push(&mut self, field: &Field) -> bool {
        match (self, field) {
            (Self::Integer(values), Field::Null) => values.push(None),
            (Self::Integer(values), Field::Long(value)) => values.push(u64::try_from(*value).ok()),
            (Self::Real(values), Field::Null) => values.push(None),
            (Self::Real(values), Field::Double(value)) => values.push(Some(*value)),
            (Self::Flag(values), Field::Bool(value)) => values.push(*value),
            (Self::Text(values), Field::Str(value)) => values.push(value.clone()),
            _ => return false,
        }
        true
    }
}

fn write_optional<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: impl Iterator<Item = Option<T::T>>,
) -> Result<(), ParquetError> {
    let (mut present, mut levels) = (Vec::new(), Vec::new());
    for value in values {
        levels.push(i16::from(value.is_some()));
        present.extend(value);
    }
    write_values::<T>(group, &present, Some(&levels))
}

fn write_values<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> Result<(), ParquetError> {
    // The caller writes as many columns as the schema has.
    let mut column = group
        .next_column()?
        .ok_or_else(|| ParquetError::EOF("columns".to_owned()))?;
    column.typed::<T>().write_batch(values, levels, None)?;
    column.close()
}

impl Table {
    /// Adds a column.
    pub(crate) fn add(&mut self, name: impl Into<String>, column: Column) {
        debug_assert!(
            self.columns
                .first()
                .is_none_or(|(_, first)| first.len() == column.len())
        );
        self.columns.push((name.into(), column));
    }

    /// The column of this name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, column)| column)
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, |(_, column)| column.len())
    }

    /// Writes the table as CSV with a header.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_csv(&self, path: &Path) -> Result<(), TableError> {
        let error = |error: csv::Error| TableError::Csv {
            path: path.to_owned(),
            error,
        };
        let mut writer = csv::Writer::from_path(path).map_err(error)?;
        writer
            .write_record(self.columns.iter().map(|(name, _)| name))
            .map_err(error)?;
        for row in 0..self.rows() {
            let fields = self.columns.iter().map(|(_, column)| column.text(row));
            writer.write_record(fields).map_err(error)?;
        }
        writer
            .flush()
            .map_err(|source| TableError::io(path, source))
    }

    /// Writes the table as Parquet, one row group.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_parquet(&self, path: &Path) -> Result<(), TableError> {
        let file = File::create(path).map_err(|source| TableError::io(path, source))?;
        self.parquet_into(file)
            .map_err(|error| TableError::Parquet {
                path: path.to_owned(),
                error,
            })
    }

    fn parquet_into(&self, file: File) -> Result<(), ParquetError> {
        let fields: Result<Vec<TypePtr>, ParquetError> = self
            .columns
            .iter()
            .map(|(name, column)| column.field_type(name).map(Arc::new))
            .collect();
        let schema = Type::group_type_builder("table")
            .with_fields(fields?)
            .build()?;
        // The name of the library would change with its version: two runs give the same bytes.
        let properties = WriterProperties::builder()
            .set_created_by("dunlin".to_owned())
            .build();
        let mut writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))?;
        let mut group = writer.next_row_group()?;
        for (_, column) in &self.columns {
            column.write(&mut group)?;
        }
        group.close()?;
        writer.into_inner()?.flush()?;
        Ok(())
    }

    /// Reads a table that was written by [`Table::write_parquet`].
    ///
    /// # Errors
    /// When the file cannot be read or is no such table.
    pub fn read_parquet(path: &Path) -> Result<Self, TableError> {
        let file = File::open(path).map_err(|source| TableError::io(path, source))?;
        Self::parquet_from(file).map_err(|error| TableError::Parquet {
            path: path.to_owned(),
            error,
        })
    }

    fn parquet_from(file: File) -> Result<Self, ParquetError> {
        let reader = SerializedFileReader::new(file)?;
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        let mut table = Self::default();
        for column in schema.columns() {
            let empty = match column.physical_type() {
                Physical::INT64 => Column::Integer(Vec::new()),
                Physical::DOUBLE => Column::Real(Vec::new()),
                Physical::BOOLEAN => Column::Flag(Vec::new()),
                Physical::BYTE_ARRAY => Column::Text(Vec::new()),
                other => return Err(ParquetError::NYI(format!("a column of {other}"))),
            };
            table.columns.push((column.name().to_owned(), empty));
        }
        for row in reader.get_row_iter(None)? {
            let row = row?;
            for ((name, column), (_, field)) in table.columns.iter_mut().zip(row.get_column_iter())
            {
                if !column.push(field) {
                    return Err(ParquetError::General(format!("{field} in column {name}")));
                }
            }
        }
        Ok(table)
    }
}
